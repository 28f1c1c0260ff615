"""Code knows contracts, not parts: nothing asks what class a part is, or whether a name is that of a certain part."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import melder
from melder.cli.list import REGISTRIES, registry_of
from melder.encoders.resolver import IMAGE_TOWERS, TEXT_TOWERS
from melder.linking.resolver import LINKERS
from melder.methods.resolver import OFFICIAL_WEIGHTS
from melder.registry import Registry
from melder.search.resolver import SEARCHES
from melder.training.trainings import TRAININGS
from training import test_every_training
from training.training_case import TrainingCase

SOURCE = Path(melder.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
LISTED = [registry_of(kind) for kind in REGISTRIES]
EVERY: list[Registry] = [*LISTED, TEXT_TOWERS, IMAGE_TOWERS, LINKERS, OFFICIAL_WEIGHTS, SEARCHES, TRAININGS]
# What travels between parts may be asked what it is: records, tensors, and what went wrong.
TRAVELS = {SOURCE / "records.py", SOURCE / "errors.py", SOURCE / "features.py"}
RESULTS = {"Fingerprint"}  # of a picture, or why there is none
# Words that are names of parts and have other meanings too, by which settings and fields are called.
WORDS = {"cosine", "uniform", "hard", "flat", "own", "names", "lexical"}


def _defined() -> dict[str, set[Path]]:
    """Where classes are defined, but for those that may be asked for."""
    found = dict[str, set[Path]]()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and path not in TRAVELS and node.name not in RESULTS:
                found.setdefault(node.name, set()).add(path)
    return found


def _class_tests(tree: ast.AST) -> Iterator[str]:
    """The names of the classes that `isinstance`, `issubclass` and `type(…) is` are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            asked: list[ast.expr] = [node.args[1]]
        elif isinstance(node, ast.Compare) and "type(" in ast.unparse(node.left):
            asked = node.comparators
        else:
            continue
        for part in (inner for each in asked for inner in ast.walk(each)):
            if isinstance(part, ast.Name):
                yield part.id
            elif isinstance(part, ast.Attribute):
                yield part.attr


def _name_tests(tree: ast.AST) -> Iterator[str]:
    """The texts that something is compared with, or asked to begin or end with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            asked: list[ast.expr] = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("startswith", "endswith"):
            asked = node.args
        elif isinstance(node, ast.match_case):
            asked = [inner for inner in ast.walk(node.pattern) if isinstance(inner, ast.expr)]
        else:
            continue
        for part in asked:
            members = part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else [part]
            texts = (member.value for member in members if isinstance(member, ast.Constant))
            yield from (text for text in texts if isinstance(text, str))


def _own_files(name: str) -> set[Path]:
    """The files of the parts of this name."""
    entries = [entry for registry in EVERY for entry in registry.entries() if entry.name == name]
    return {SOURCE.parent / f"{entry.reference.partition(':')[0].replace('.', '/')}.py" for entry in entries}


def test_nothing_asks_what_class_a_part_is() -> None:
    defined = _defined()
    asked = [(path, name) for path, tree in TREES.items() for name in _class_tests(tree) if name in defined]
    assert [(str(path), name) for path, name in asked if path not in defined[name]] == []


def test_nothing_asks_for_the_name_of_a_part() -> None:
    parts = {name for registry in EVERY for name in registry.names()} - WORDS
    asked = [(path, text.rstrip(":")) for path, tree in TREES.items() for text in _name_tests(tree)]
    assert [(str(path), text) for path, text in asked if text in parts and path not in _own_files(text)] == []


@pytest.mark.parametrize(
    ("source", "classes", "texts"),
    [
        ("isinstance(a, B)", ["B"], []),
        ("isinstance(a, (B, c.D))", ["B", "c", "D"], []),
        ("isinstance(a, B | C)", ["B", "C"], []),
        ("type(a) is B", ["B"], []),
        ("a == 'milvus'", [], ["milvus"]),
        ("a.startswith('precomputed:')", [], ["precomputed:"]),
        ("a in ('hard', 'policy_gradient')", [], ["hard", "policy_gradient"]),
        ("'clip:compact' in a", [], ["clip:compact"]),
        ("match a:\n    case 'gemel':\n        pass", [], ["gemel"]),
    ],
)
def test_a_test_of_a_part_would_be_seen(source: str, classes: list[str], texts: list[str]) -> None:
    tree = ast.parse(source)
    assert sorted(_class_tests(tree), key=str.lower) == classes
    assert list(_name_tests(tree)) == texts


def test_every_training_has_a_case() -> None:
    classes = [value for value in vars(test_every_training).values() if isinstance(value, type)]
    cases = [case for case in classes if issubclass(case, TrainingCase) and case is not TrainingCase]
    assert {case.training for case in cases} == {*TRAININGS.names(), "matching"}


@pytest.mark.parametrize("registry", EVERY, ids=lambda registry: registry.group)
def test_every_part_can_be_imported(registry: Registry) -> None:
    assert all(registry.load(entry) is not None for entry in registry.entries())
    assert registry.group.startswith("melder.")
