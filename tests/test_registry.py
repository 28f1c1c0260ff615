"""How a name becomes a part, Melder's own or another package's."""

from __future__ import annotations

from pathlib import Path

import pytest

from melder.records import MelderError
from melder.registry import Entry, Registry

OWN = (
    Entry("path", "pathlib:Path", "a path"),
    Entry("path:pure", "pathlib:PurePath", "a path of no system"),
    Entry("reading", "pathlib:Path.read_text", "a method", extra="reading"),
)


@pytest.fixture
def parts() -> Registry[object]:
    return Registry("thing", "melder_test.things", OWN, "path:NAME")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, package: str, source: str, points: str) -> None:
    (site / f"{package}.py").write_text(source)
    described = site / f"{package}-1.2.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (described / "entry_points.txt").write_text(f"[melder_test.things]\n{points}\n")


def test_a_reference_may_lead_to_an_attribute_of_a_class(parts: Registry[object]) -> None:
    assert parts.get("path") is Path
    assert parts.get("reading") == Path.read_text


@pytest.mark.parametrize(
    ("spec", "name", "rest"),
    [("path", "path", ""), ("path:a:b", "path", "a:b"), ("path:pure", "path:pure", ""), ("path:", "path", "")],
)
def test_a_specification_begins_with_a_name(parts: Registry[object], spec: str, name: str, rest: str) -> None:
    assert parts.resolve(spec) == (parts.get(name), rest)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paht", "there is no thing 'paht'; did you mean 'path'? there are path, path:pure, reading (path:NAME)"),
        ("paht:x", "there is no thing 'paht:x'; did you mean 'path'?"),
        ("", "there is no thing ''; there are path"),
        ("12", "there is no thing '12'; there are path"),
        ("Reading", "did you mean 'reading'?"),
    ],
)
def test_a_slip_is_told_with_the_nearest_name_and_all_of_them(parts: Registry[object], name: str, message: str) -> None:
    with pytest.raises(MelderError) as caught:
        parts.resolve(name)
    assert message in str(caught.value)
    assert name not in parts


def test_what_is_not_asked_for_is_not_imported() -> None:
    parts = Registry[object]("thing", "melder_test.things", (Entry("gone", "no.such.module:THING", "gone"),))
    assert parts.names() == ("gone",)
    assert parts.summary(parts.entries()[0]) == "gone"
    with pytest.raises(ModuleNotFoundError):
        parts.get("gone")


def test_another_package_adds_by_an_entry_point(parts: Registry[object], site: Path) -> None:
    install(site, "strangers", 'class Brick:\n    """A brick.\n\n    It is red."""\n', "brick = strangers:Brick")
    (entry,) = [entry for entry in parts.entries() if entry.name == "brick"]
    assert (entry.package, parts.summary(entry)) == ("strangers 1.2", "A brick.")
    part, rest = parts.resolve("brick:red")
    assert (part.__name__, rest) == ("Brick", "red")  # type: ignore[attr-defined]


def test_it_cannot_take_a_name_of_melders_own(parts: Registry[object], site: Path) -> None:
    install(site, "usurpers", "Path = None\n", "path = usurpers:Path")
    assert parts.get("path") is Path
    assert parts.names() == ("path", "path:pure", "reading")


def test_two_packages_cannot_share_a_name(parts: Registry[object], site: Path) -> None:
    install(site, "firsts", "Brick = 1\n", "brick = firsts:Brick")
    install(site, "seconds", "Brick = 2\n", "brick = seconds:Brick")
    with pytest.raises(MelderError, match=r"'brick' is offered by firsts 1.2 and seconds 1.2; uninstall one of them"):
        parts.get("brick")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_here\n", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("Other = 1\n", "AttributeError: module 'broken' has no attribute 'Brick'"),
        ("raise ValueError('no')\n", "ValueError: no"),
        ("1 +\n", "SyntaxError"),
    ],
)
def test_a_package_that_is_broken_is_named(
    parts: Registry[object], site: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "broken", raising=False)
    install(site, "broken", source, "brick = broken:Brick")
    with pytest.raises(MelderError) as caught:
        parts.get("brick")
    assert "'brick' of the package broken 1.2 cannot be loaded" in str(caught.value)
    assert reason in str(caught.value)
    (entry,) = [entry for entry in parts.entries() if entry.name == "brick"]
    assert reason in parts.summary(entry)
