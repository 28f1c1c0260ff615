"""A method, an encoder, an index and a layout of another package, installed as any is: nothing in Melder knows them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import melder
from melder.cli import app
from melder.data import load
from melder.records import MelderError
from training.small import small_data

HERE = Path(__file__).parents[2] / "examples" / "extending"
RUNNER = CliRunner()


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package, by pip and without any network."""
    site, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "package"
    for file in HERE.rglob("*"):
        if file.suffix in (".py", ".toml"):
            (source / file.relative_to(HERE)).parent.mkdir(parents=True, exist_ok=True)
            (source / file.relative_to(HERE)).write_bytes(file.read_bytes())
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=300)
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.partition(".")[0] == "melder_late"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The creatures as tables with tabs."""
    out, dataset = tmp_path_factory.mktemp("tables"), load(small_data())
    shutil.copytree(small_data() / "images", out / "images")
    _write(out / "entities.tsv", [(e.id, e.name, e.description, e.images[0]) for e in dataset.entities])
    for split in dataset.splits:
        rows = [(m.id, m.text, m.surface, m.image or "", m.answer or "") for m in dataset.split(split)]
        _write(out / f"{split}.tsv", rows)
    return out


def _write(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)


@pytest.fixture(scope="module")
def run(installed: None, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "late"
    recipe = out.with_suffix(".yaml")
    training = {"batch_size": 10, "epochs": 6, "learning_rate": 5e-3, "epsilon": 1e-8, "validate_every": 3}
    recipe.write_text(
        json.dumps(
            {
                "data": {"directory": str(tables)},
                "encoder": {"name": "grid", "text_length": 16},
                "method": {"name": "late", "width": 16},
                "training": training,
            }
        )
    )
    _melder("train", recipe, "--out", out)
    return out


@pytest.fixture(scope="module")
def base(run: Path, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bases") / "kb"
    entities = out.with_suffix(".jsonl")
    lines = [entity.model_dump_json() for entity in load(tables).entities]
    entities.write_text("\n".join(lines), encoding="utf-8")
    shutil.copytree(tables / "images", entities.parent / "images")
    _melder("kb", "build", run, "--entities", entities, "--out", out)
    return out


def _melder(*arguments: object) -> str:
    said = RUNNER.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return said.stdout


@pytest.mark.parametrize(
    ("kind", "name", "summary"),
    [
        ("methods", "late", "late interaction, and a vector to find candidates by"),
        ("indexes", "plain", "Every vector as it is."),
        ("encoders", "grid", ""),
        ("layouts", "tsv", ""),
    ],
)
def test_they_are_listed_with_the_package_that_they_are_from(kind: str, name: str, summary: str) -> None:
    parts = {part["name"]: part for part in json.loads(_melder("list", kind, "--json"))}
    assert parts[name]["from"] == "melder-late 0.3"
    assert summary in parts[name]["summary"]


def test_a_type_checker_says_whether_a_matcher_fits(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from melder.methods.method import MatchingMethod\n"
        "from melder_late.method import LateConfiguration, LateMatcher\n"
        "class Short(LateMatcher):\n"
        "    contributions: None = None  # type: ignore[assignment]\n"
        "def build(configuration: LateConfiguration, sizes: object) -> Short: ...  # type: ignore[empty-body]\n"
        "METHOD = MatchingMethod(LateConfiguration, build)\n"
    )
    package, root = HERE / "src" / "melder_late", HERE.parents[1]
    path = os.pathsep.join([str(Path(melder.__file__).parents[1]), str(package.parent)])
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(package), str(wrong)]
    checked = subprocess.run(command, cwd=root, env={**os.environ, "MYPYPATH": path}, capture_output=True, text=True)
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert [Path(line.partition(":")[0]).name for line in errors] == ["wrong.py"], checked.stdout + checked.stderr
    assert 'expected "Callable[[Any, Sizes], Matcher]"' in errors[0]


def test_the_layout_is_recognised(tables: Path) -> None:
    dataset = load(tables)
    assert dataset.layout.name == "tsv"
    assert len(dataset.split("train")) == 40


def test_the_method_trains_and_evaluates(run: Path, tables: Path, tmp_path: Path) -> None:
    _melder("evaluate", run, "--data", tables, "--split", "test", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["method"], figures["encoder"]) == ("late", "grid")
    assert figures["hits@5"] > 0.5


def test_it_links_and_says_what_it_found(run: Path, tables: Path) -> None:
    answer = json.loads(
        _melder("link", run, "--data", tables, "--text", "A red kite was seen", "--mention", "red kite", "--json")
    )
    assert answer["candidates"][0]["units"].keys() == {"late"}


def test_a_knowledge_base_of_it_links_as_the_run_does(base: Path, run: Path, tables: Path) -> None:
    mention = load(tables).split("test")[0]
    stored, fresh = melder.load(base), melder.load(run, data=tables)
    picture = tables / str(mention.image)
    links = [linker.link(mention.text, mention=mention.surface, image=picture) for linker in (stored, fresh)]
    assert [each.id for each in links[0].candidates] == [each.id for each in links[1].candidates]  # type: ignore[union-attr]


def test_the_index_finds_its_candidates_made_now_or_kept(base: Path) -> None:
    text = "A red kite was seen"
    exact = melder.load(base).link(text, mention="red kite").candidates[0].id  # type: ignore[union-attr]
    found = melder.load(base, candidates="plain").link(text, mention="red kite")
    assert found.candidates[0].id == exact  # type: ignore[union-attr]
    _melder("kb", "index", base, "--kind", "plain")
    kept = melder.load(base, candidates="plain").link(text, mention="red kite")
    assert kept.candidates == found.candidates  # type: ignore[union-attr]


def test_it_is_served(base: Path) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    from melder.serving import ServiceSettings, create_application
    from melder.serving.opening import source_of

    source = source_of(base, None)
    with testclient.TestClient(create_application(source, source.open(), ServiceSettings(wait=0.0))) as client:
        answer = client.post("/link", json={"text": "A red kite", "mentions": [{"start": 2, "end": 10}], "k": 3}).json()
    assert len(answer["links"][0]["candidates"]) == 3


def test_without_the_package_its_run_says_what_is_missing(
    run: Path, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.registry.entry_points", lambda **_: [])
    with pytest.raises(MelderError, match="there is no method 'late'"):
        melder.load(run, data=tables)
