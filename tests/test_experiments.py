"""Every recipe of experiments/ loads and takes one step, on a data set written here and with a small encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from melder.jobs.experiments.experiment_file import read_experiment
from melder.jobs.experiments.plan import plan_experiment
from melder.methods.gemel import GEMELConfiguration
from melder.training.configuration import Configuration, read_configuration
from melder.training.generative.training import prepare_generative
from melder.training.loop.module import training_losses
from melder.training.loop.optimizer import build_optimizer
from melder.training.order import BatchPlan
from melder.training.prepare import prepare
from melder.training.split import open_data

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*/*.yaml"))
TABLES = sorted(EXPERIMENTS.glob("*.yaml"))
RECONSTRUCTED = {"pgmel"}  # methods whose recipe was never published
NAMES = ["Guinea", "Mali", "Chad", "Romania", "Monaco", "Poland"]
MENTIONS = 20  # enough that a tenth can be held out
every_file = pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(EXPERIMENTS)) for file in FILES])


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same records, with pictures, in every layout."""
    directory = tmp_path_factory.mktemp("data")
    return {"own": _own(directory / "own"), "mimic": _mimic(directory / "mimic")}


@every_file
def test_it_takes_a_step(file: Path, layouts: dict[str, Path], tmp_path: Path) -> None:
    configuration = _small(file, layouts, tmp_path)
    if isinstance(configuration.method, GEMELConfiguration):
        _generative_step(configuration, tmp_path)
        return
    prepared = prepare(configuration, open_data(configuration), tmp_path / "features", lambda title, total: _ignore)
    plan = BatchPlan(len(prepared.split.train), 8, configuration.training.seed)
    if prepared.negatives.refresh is not None:
        prepared.negatives.prepare(next(plan.batches(0)))
    batched = prepared.examples.batch(plan, 0, next(plan.batches(0)))
    published = bool(getattr(configuration.method, "published", False))
    losses = training_losses(prepared.model.train(), batched, mask_duplicates=not published)
    assert all(torch.isfinite(loss) for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    learning = {n: p for n, p in prepared.model.named_parameters() if p.grad is not None and p.grad.any()}
    assert all(torch.isfinite(parameter.grad).all() for parameter in learning.values())  # type: ignore[arg-type]
    assert any(name.startswith("encoder.") for name in learning) == configuration.encoder.trained
    before = {name: parameter.detach().clone() for name, parameter in learning.items()}
    build_optimizer(prepared.model, configuration.training).step()
    assert all(not torch.equal(parameter, before[name]) for name, parameter in learning.items())


@every_file
def test_a_published_recipe_selects_on_dev_and_corrects_nothing(file: Path) -> None:
    """`<dataset>.yaml` is the published recipe, `<dataset>.offline.yaml` what was run here."""
    configuration = read_configuration(file)
    offline = file.name.endswith(".offline.yaml")
    if file.parent.name in RECONSTRUCTED:
        assert "reconstruction" in file.read_text(encoding="utf-8").split("\ndata:")[0]
        assert configuration.training.select_on == "tune"
        return
    assert getattr(configuration.method, "published", False) != offline
    assert configuration.training.select_on == ("tune" if offline else "dev")
    if not offline:
        assert configuration.training.drop_text == configuration.training.drop_image == 0
        assert "Published" in file.read_text(encoding="utf-8").split("\ndata:")[0]


@pytest.mark.parametrize(("data", "train"), [("wikidiverse", 11_351), ("wikimel", 18_092)])
def test_gemels_recipes_warm_up_and_select_as_the_published_code(data: str, train: int) -> None:
    """A tenth of 5 epochs of single mentions as warm-up, counted in steps of 16; a look every 5,000 mentions."""
    configuration = read_configuration(EXPERIMENTS / "gemel" / f"{data}.yaml")
    training = configuration.training
    assert training.warmup_steps == int(0.1 * training.epochs * train)
    assert training.validate_every_steps == 5000 // training.batch_size
    assert (training.select_by, training.select_ties, training.validate_mentions) == ("hits@1", "later", None)
    assert training.patience > training.epochs * train / 5000  # nothing stops it
    assert configuration.encoder.name.startswith("precomputed:")


@every_file
def test_it_lies_in_the_folder_of_its_method(file: Path) -> None:
    assert read_configuration(file).method.name == file.parent.name  # type: ignore[attr-defined]


def test_there_are_experiments() -> None:
    assert FILES
    assert TABLES


@pytest.mark.parametrize("file", TABLES, ids=[file.stem for file in TABLES])
def test_every_row_of_a_table_can_be_trained(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXPERIMENTS.parent)
    experiment = read_experiment(file)
    plan = plan_experiment(file, experiment, tmp_path)
    assert {evaluation.row for evaluation in plan.evaluations} == {row.name for row in experiment.rows}
    assert len({evaluation.figures for evaluation in plan.evaluations}) == len(plan.evaluations)


def test_rows_that_are_one_training_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GEMEL alone and over M3EL's candidates, and what each of them needs."""
    monkeypatch.chdir(EXPERIMENTS.parent)
    file = EXPERIMENTS / "generative.yaml"
    plan = plan_experiment(file, read_experiment(file), tmp_path)
    runs = {(each.row, each.run.seed): each for each in plan.evaluations}
    alone, over = (runs[row, 44] for row in ("pictures, 2 demonstrations", "over m3el's best ten, 2 demonstrations"))
    assert alone.run.directory == over.run.directory
    assert alone.figures != over.figures
    (matching,) = over.needs
    assert over.changes[1] == f'method.matching.run="{matching.directory}"'
    assert (matching.row, matching.seed) == ("m3el, which finds candidates", 44)
    bare = runs["pictures, no demonstrations", 44].run
    assert [needed.directory for needed in bare.needs] == [alone.run.directory]
    assert bare.configuration.method.language_model == f"{alone.run.directory}/language_model"  # type: ignore[attr-defined]
    assert bare.directory.parent == runs["pictures, no demonstrations", 45].run.directory.parent
    assert len(plan.runs) == 3 * 7


def _small(file: Path, layouts: dict[str, Path], tmp_path: Path) -> Configuration:
    """The file's configuration on the records written here, read as it reads its own."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))["data"]
    layout = data.get("layout", "mimic" if "text_field" in data else "own")
    own = read_configuration(file).encoder
    changes = [f"data.directory={layouts[layout]}", f"data.layout={layout}"]
    changes += [f"encoder.name={_encoder(own.name, tmp_path)}", f"encoder.trained={own.trained}"]
    if isinstance(read_configuration(file).method, GEMELConfiguration):
        small = {"width": 16, "layers": 1, "heads": 2, "steps": 2, "batch_size": 2}
        changes += ["method.language_model=lm:compact", f"method.compact={json.dumps(small)}"]
        changes += ["method.demonstrations.retriever=null", "method.demonstrations.pooling=auto"]
    return read_configuration(file, changes)


def _generative_step(configuration: Configuration, tmp_path: Path) -> None:
    """One step of a method that writes names, with a language model made there."""
    dataset = open_data(configuration)
    prepared = prepare_generative(configuration, dataset, tmp_path / "features", lambda title, total: _ignore)
    plan = BatchPlan(len(prepared.split.train), 4, configuration.training.seed)
    asked = prepared.examples.batch(plan, 0, next(plan.batches(0)))
    losses = prepared.model.train().model.loss(asked.prompts, asked.answers)
    assert torch.isfinite(losses).all()
    losses.mean().backward()
    learning = {name for name, parameter in prepared.model.named_parameters() if parameter.grad is not None}
    assert learning
    assert all(name.startswith("model.mapper.") for name in learning)
    mapper = prepared.model.model.mapper
    learns = mapper.linear.weight if "image" in configuration.data.modalities else mapper.absent
    before = learns.detach().clone()
    build_optimizer(prepared.model, configuration.training).step()
    assert not torch.equal(learns, before)


def _encoder(name: str, tmp_path: Path) -> str:
    """A small encoder of the same kind, made from nothing."""
    kind = name.partition(":")[0]
    if kind == "precomputed":
        return f"precomputed:{_stored(tmp_path / 'stored.safetensors')}+clip:compact"
    if kind == "paired":
        assert name.endswith("+none"), "a pair that sees needs a small vision model here"
        return "paired:clip:compact+none"
    return "clip:compact"


def _ignore(done: int) -> None:
    """No progress is shown."""


def _records() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Entities and mentions; the last of each has no picture."""
    entities = [
        {"id": f"Q{row}", "name": name, "description": f"{name}, state number {row}", "images": [f"{name}.jpg"]}
        for row, name in enumerate(NAMES)
    ]
    entities[-1]["images"] = []
    mentions = []
    for row in range(MENTIONS):
        name = NAMES[row % len(NAMES)]
        text = f"In year {row} the team of {name} won"
        start = text.index(name)
        span = {"start": start, "end": start + len(name), "surface": name}
        mentions.append(
            {"id": str(row), "text": text, **span, "image": f"m{row}.jpg", "answer": f"Q{row % len(NAMES)}"}
        )
    mentions[-1]["image"] = None
    return entities, mentions


def _pictures(entity_folder: Path, mention_folder: Path) -> None:
    draw = np.random.default_rng(0)
    places = [entity_folder / f"{name}.jpg" for name in NAMES] + [mention_folder / f"m{n}.jpg" for n in range(MENTIONS)]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (16, 24, 3), dtype=np.uint8)).save(place)


def _own(directory: Path) -> Path:
    _pictures(directory, directory)
    entities, mentions = _records()
    for name, records in (("entities", entities), ("train", mentions), ("dev", mentions[:5])):
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return directory


def _mimic(directory: Path) -> Path:
    _pictures(directory / "kb_image", directory / "mention_image")
    entities, mentions = _records()
    base = [
        {"id": row, "qid": e["id"], "type": "entity", "entity_name": e["name"], "image_list": e["images"]}
        | {"attr": f"sort: {row}", "desc": e["description"]}
        for row, e in enumerate(entities)
    ]
    raw = [
        {"id": m["id"], "sentence": m["text"], "mentions": m["surface"]}
        | {"imgPath": m["image"] or "", "answer": m["answer"], "entities": m["surface"]}
        for m in mentions
    ]
    numbers = {record["qid"]: record["id"] for record in base}
    contents = {"kb_entity": base, "qid2id": numbers, "tiny_train": raw, "tiny_dev": raw[:5]}
    for name, content in contents.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    return directory


def _stored(file: Path) -> Path:
    """Features of every picture, as a frozen network would have left them."""
    names = [f"{name}.jpg" for name in NAMES] + [f"m{row}.jpg" for row in range(MENTIONS)]
    draw = torch.Generator().manual_seed(0)
    shapes = {"image_global": (len(names), 10), "image_tokens": (len(names), 4, 6)}
    tensors = {name: torch.randn(shape, generator=draw).half() for name, shape in shapes.items()}
    save_file(tensors, file, metadata={"names": json.dumps(names)})
    return file
