"""The order of the layers, and what no module may do, read off the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import melder

SOURCE = Path(melder.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 300  # lines of a file

# From top to bottom; a layer imports from the layers below it, and from itself.
LAYERS: list[set[str]] = [
    {"__main__"},  # `python -m melder`
    {"cli"},
    {"serving", "jobs", "integrations", "client"},
    {"training"},
    {"evaluation"},
    {"linking"},
    {"building"},
    {"search"},
    {"runs"},
    {"generative"},
    {"methods"},
    {"encoders"},
    {"kb"},
    {"units"},
    {"ops", "metrics", "mentions", "data", "export"},
    {"io"},
    {"protocols", "registry"},
    {"records", "features", "names"},  # names: how two are compared, which every layer above asks
    {"further_pictures", "padding", "languages", "errors"},  # a part of features; what records are made of
]
HEIGHT = {name: -depth for depth, names in enumerate(LAYERS) for name in names}
UNPICKLES = {  # weights only
    SOURCE / "runs" / "official_checkpoint.py",  # when a person asks for it
    SOURCE / "encoders" / "starter.py",  # one file, known by its SHA-256
}
PICKLES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

modules = pytest.mark.parametrize("module", MODULES, ids=[str(path.relative_to(SOURCE)) for path in MODULES])


def _part(path: Path) -> str:
    """The first name below `melder`: units/match.py and records.py are in `units` and `records`."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names of all imports, also those inside functions, relative ones resolved against `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _read(path: Path) -> tuple[ast.Module, tuple[str, ...]]:
    return ast.parse(path.read_text(encoding="utf-8")), ("melder", *path.relative_to(SOURCE).parts[:-1])


def _violations(own: str, imported: Iterator[str]) -> list[str]:
    """Imports from Melder that do not point down."""
    names = [name.split(".") for name in imported if name.startswith("melder.")]
    return [".".join(name) for name in names if name[1] in HEIGHT and name[1] != own and HEIGHT[name[1]] >= HEIGHT[own]]


@modules
def test_imports_point_down(module: Path) -> None:
    if module == SOURCE / "__init__.py":
        return  # the names that users import come from every layer
    assert _part(module) in HEIGHT
    assert not _violations(_part(module), _imported(*_read(module)))


@pytest.mark.parametrize(
    ("own", "source", "wrong"),
    [
        ("units", "from melder.methods import heads", ["melder.methods.heads"]),
        ("ops", "import melder.data.items", ["melder.data.items"]),
        ("units", "def f():\n    from ..methods import heads", ["melder.methods.heads"]),
        ("records", "from melder import features", ["melder.features"]),
        ("units", "from melder.ops.masks import masked_mean\nfrom . import match\nimport torch", []),
    ],
)
def test_a_wrong_import_would_be_seen(own: str, source: str, wrong: list[str]) -> None:
    assert _violations(own, _imported(ast.parse(source), ("melder", own))) == wrong


def _circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    names = sorted(imports)
    places = {name: place for place, name in enumerate(names)}
    pairs = [(places[name], places[target]) for name in names for target in imports[name] if target in places]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(names), len(names)))
    count, labels = connected_components(graph, directed=True, connection="strong")
    groups = [[name for name, label in zip(names, labels, strict=True) if label == group] for group in range(count)]
    return [group for group in groups if len(group) > 1]


def _module_name(path: Path) -> str:
    return ".".join(("melder", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {_module_name(path) for path in MODULES}
    imports = {
        _module_name(path): {
            name if name in names else name.rpartition(".")[0] for name in _imported(*_read(path)) if "melder." in name
        }
        for path in MODULES
    }
    assert _circles(imports) == []


def test_a_circle_would_be_seen() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@modules
def test_nothing_is_pickled(module: Path) -> None:
    tree, package = _read(module)
    assert not {name.split(".")[0] for name in _imported(tree, package)} & PICKLES
    assert not {"torch.load", "torch.save"} & set(_imported(tree, package))
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if module in UNPICKLES:
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        assert len(loads) == 1
        assert "weights_only=True" in map(ast.unparse, loads[0].keywords)
        attributes -= {"torch.load"}
    assert not attributes & {"torch.load", "torch.save"}
    arrays = [call for call in calls if ast.unparse(call.func) in ("np.load", "np.save", "numpy.load", "numpy.save")]
    assert all("allow_pickle=False" in map(ast.unparse, call.keywords) for call in arrays)


@pytest.mark.parametrize("suffix", ["py", "yaml", "html", "css", "js"])
def test_files_are_short(suffix: str) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob(f"*.{suffix}")}
    assert not {str(path): length for path, length in lengths.items() if length > LONGEST}


def test_help_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys\n"
        "from melder.cli import main\n"
        "sys.argv = ['melder', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as leaving:\n    assert not leaving.code\n"
        "heavy = {'torch', 'transformers', 'lightning', 'sklearn', 'scipy'} & sys.modules.keys()\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert "train" in done.stdout
    assert done.stdout.endswith("HEAVY []\n")
