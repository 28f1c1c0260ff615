"""What the API reference shows has docstrings in Google's style: what goes in, what comes out, what is raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import melder

SOURCE = Path(melder.__file__).parent
REFERENCE = SOURCE.parents[1] / "docs" / "api.md"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _documented() -> list[str]:
    return re.findall(r"^   melder\.(\w+)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)


def _public(tree: ast.Module) -> Iterator[Definition]:
    """The definitions that `__all__` names."""
    names = set[str]()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = set(ast.literal_eval(node.value))
    yield from (node for node in tree.body if isinstance(node, Definition) and node.name in names)


def _parameters(node: Definition) -> bool:
    """Whether something is given to it: parameters, or the fields of a dataclass."""
    if not isinstance(node, ast.ClassDef):
        return bool(node.args.args or node.args.kwonlyargs)
    inits = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
    if inits:
        return len(inits[0].args.args) + len(inits[0].args.kwonlyargs) > 1
    is_dataclass = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    fields = [ast.unparse(inner.target) for inner in node.body if isinstance(inner, ast.AnnAssign)]
    return is_dataclass and any(not name.startswith("_") for name in fields)


def _raises(node: Definition) -> bool:
    raised = [inner.exc for inner in ast.walk(node) if isinstance(inner, ast.Raise) and inner.exc is not None]
    return any(ast.unparse(error).startswith(("MelderError", "BadData")) for error in raised)


def lacking(source: str) -> list[str]:
    """What its public definitions lack, each with its name."""
    wanting = []
    for node in _public(ast.parse(source)):
        text = ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            inner = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
            text += "".join(ast.get_docstring(part) or "" for part in inner)
        wanting += [f"{node.name}: a docstring"] if not text else []
        wanting += [f"{node.name}: Args"] if _parameters(node) and "Args:" not in text else []
        if not isinstance(node, ast.ClassDef):
            returns = node.returns is not None and ast.unparse(node.returns) != "None"
            wanting += [f"{node.name}: Returns"] if returns and not re.search(r"(Returns|Yields):", text) else []
            wanting += [f"{node.name}: Raises"] if _raises(node) and "Raises:" not in text else []
    return wanting


def _of_package(name: str) -> list[str]:
    path = SOURCE / name
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [
        f"{file.relative_to(SOURCE)}: {what}" for file in files for what in lacking(file.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("package", sorted(_documented()))
def test_arguments_results_and_errors_are_described(package: str) -> None:
    assert _of_package(package) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a: int) -> None:\n    '''Do.'''", ["f: Args"]),
        ("def f() -> int:\n    '''One.'''", ["f: Returns"]),
        ("def f() -> Iterator[int]:\n    '''One.\n\n    Yields:\n        Numbers.\n    '''", []),
        ("def f() -> None:\n    '''Do.'''\n    raise MelderError('no')", ["f: Raises"]),
        ("def f(a):\n    pass", ["f: a docstring", "f: Args"]),
        ("def g(a):\n    pass", []),
        ("@dataclass\nclass f:\n    '''One.'''\n    a: int", ["f: Args"]),
        ("@dataclass\nclass f:\n    '''One.'''\n    _a: int = 0", []),
        ("class f:\n    def __init__(self, a):\n        '''One.\n\n        Args:\n            a: It.\n        '''", []),
        ("class f:\n    '''One.'''\n    def __init__(self):\n        pass", []),
    ],
)
def test_what_is_missing_is_seen(source: str, expected: list[str]) -> None:
    assert lacking(f"__all__ = ['f']\n{source}") == expected
