"""Training without labels that makes nothing worse: the result against what there was before, and the better is kept.

Figures on made mentions flatter what was trained on made mentions. So both are asked for the exact names of the
entities too, which need no training at all, and the trained model is kept only if it

* has the higher mean reciprocal rank on the made mentions that were held out, and
* finds as many of the exact names, but for `TOLERANCE`.

The directory of the run holds the model that is kept, so that whatever reads a run links with it; a trained one that is
not kept lies below it in `trained`, as a run of its own. `kept.json` says which it was, with the figures of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melder.building.model import OPTIONAL_FILES, copy_model
from melder.building.zero_shot import write_zero_shot
from melder.data import DataSet, EntityFile, load
from melder.data.own import OwnLayout
from melder.encoders import from_scratch
from melder.evaluation.evaluate import describe
from melder.io.atomic import remove, writing
from melder.kb import is_knowledge_base, open_knowledge_base
from melder.kb.manifest import MODEL
from melder.linking.opening import open_linker
from melder.metrics.metrics import Metrics, metrics
from melder.metrics.name_match import name_match
from melder.names import folded
from melder.protocols import Counting
from melder.records import Entity, MelderError, Mention
from melder.runs.directory import is_finished_run, read_configuration, write_json
from melder.training.configuration import Configuration
from melder.training.from_entities import MADE
from melder.training.split import split_data

__all__ = ["BEFORE", "TRAINED", "KeptModel", "awaits_comparison", "exact_names", "is_better", "keep_better"]

FILE = "kept.json"
BEFORE, TRAINED = "before", "trained"  # names of the models, and of directories of the one that is not kept
NAMES = 500  # exact names that are asked for
TOLERANCE = 0.01  # of H@1 on these: five of them, which may be chance


@dataclass(frozen=True)
class KeptModel:
    """What two models do, and which is kept.

    Args:
        kept: BEFORE or TRAINED.
        made: Figures on the made mentions that were held out of training, by model.
        names: The same of exact names.
        reason: Why there was nothing to compare with; `made` and `names` are empty then.
    """

    kept: str
    made: Mapping[str, Metrics]
    names: Mapping[str, Metrics]
    reason: str = ""


def awaits_comparison(out: Path) -> bool:
    """Whether a training from entities ended there, and was stopped before it was compared.

    Args:
        out: The directory of the run.

    Returns:
        Whether `keep_better` is to be called.
    """
    ended = is_finished_run(out) or (out / TRAINED).is_dir()
    return ended and (out / MADE).is_dir() and not (out / FILE).is_file()


def keep_better(out: Path, configuration: Configuration, source: Path, counting: Counting) -> KeptModel:
    """Compare the finished run `out` with what there was before, and keep the better one in it.

    Before, there was the model of the knowledge base `source` or, of a data set, the recipe's encoder as it is, unless
    that knows nothing before it is trained.

    Args:
        out: The directory of the run.
        configuration: What the run was trained with.
        source: What the training was from.
        counting: Starts a progress bar with a title and a total.

    Returns:
        Which model was kept, with the figures of both.
    """
    made = load(out / MADE)
    trained = out / TRAINED if (out / TRAINED).is_dir() else out
    try:
        before = _written_before(out, configuration, source, made, counting)
    except MelderError as error:
        return _noted(out, KeptModel(TRAINED, {}, {}, str(error)))
    mentions, exact = split_data(configuration, made).selection, exact_names(made.entities)
    models = {BEFORE: before, TRAINED: trained}
    figures: dict[str, tuple[Metrics, Metrics]] = {}
    for name, run in models.items():
        figures[name] = _figures(run, made, mentions, exact, counting)
    of_made, of_names = ({name: both[place] for name, both in figures.items()} for place in (0, 1))
    kept = TRAINED if is_better(of_made, of_names) else BEFORE
    if kept == TRAINED:
        remove(before)
    else:
        _exchange(out, before, _as_run_figures(before, configuration, made, mentions, of_made[BEFORE]))
    return _noted(out, KeptModel(kept, of_made, of_names))


def exact_names(entities: Sequence[Entity]) -> list[Mention]:
    """A mention of nothing but a name for each name and alias that one entity alone has, `NAMES` of them at most.

    Args:
        entities: All of a knowledge base.

    Returns:
        Evenly spread over the entities.
    """
    owners = Counter(name for entity in entities for name in {folded(name) for name in entity.names})
    pairs = [(entity.id, name) for entity in entities for name in dict.fromkeys(entity.names) if name.strip()]
    single = [(identity, name) for identity, name in pairs if owners[folded(name)] == 1]
    chosen = [single[place * len(single) // NAMES] for place in range(NAMES)] if len(single) > NAMES else single
    return [
        Mention(id=str(number), text=name, start=0, end=len(name), surface=name, answer=identity)
        for number, (identity, name) in enumerate(chosen)
    ]


def is_better(made: Mapping[str, Metrics], names: Mapping[str, Metrics]) -> bool:
    """Whether the trained model is better than what there was before.

    Args:
        made: Figures on made mentions, by model.
        names: Figures on exact names, by model.

    Returns:
        Whether it is.
    """
    finds_names = not any(names.values()) or names[TRAINED]["hits@1"] >= names[BEFORE]["hits@1"] - TOLERANCE
    return bool(made[TRAINED]["mrr"] > made[BEFORE]["mrr"] and finds_names)


def _written_before(out: Path, configuration: Configuration, source: Path, made: DataSet, counting: Counting) -> Path:
    """The run of what there was before, written below `out`.

    Raises:
        MelderError: There was nothing.
    """
    run = out / BEFORE
    if run.is_dir():
        return run
    if is_knowledge_base(source):
        with open_knowledge_base(source) as base:
            base.check_model()
            copy_model(base.model, run)
        return run
    encoder = configuration.encoder.name
    if from_scratch(encoder):
        raise MelderError(f"{encoder} knows nothing before it is trained, and {source} is no knowledge base")
    whole = out / "zero-shot"
    entities = EntityFile(OwnLayout(made.directory).entity_file)
    write_zero_shot(whole, encoder, entities, len(made.entities), counting)
    copy_model(whole / MODEL, run)
    remove(whole)
    return run


def _figures(
    run: Path, made: DataSet, mentions: Sequence[Mention], exact: Sequence[Mention], counting: Counting
) -> tuple[Metrics, Metrics]:
    """Of held-out made mentions, and of exact names; both among the entities as they were trained on."""
    linker = open_linker(run, made, counting=counting)
    of_made, count = metrics(linker.ranks(mentions), len(made.entities)), len(made.entities)
    return of_made, metrics(linker.ranks(exact), count) if exact else {}


def _exchange(out: Path, before: Path, figures: Mapping[str, Any]) -> None:
    """Put the model of `before` in the place of the trained one, which goes to TRAINED; done again, it is the same."""
    if not (out / TRAINED).is_dir():
        copy_model(out, out / TRAINED)
    for name in ("encoder", *OPTIONAL_FILES):  # a second look of the trained model, too
        remove(out / name)
    with writing(out / "exchange") as part:
        copy_model(before, part / "model")
        for path in (part / "model").iterdir():
            path.replace(out / path.name)
    remove(out / "exchange")
    write_json(out / "metrics.json", dict(figures))
    remove(before)


def _as_run_figures(
    run: Path, configuration: Configuration, made: DataSet, mentions: Sequence[Mention], figures: Metrics
) -> dict[str, Any]:
    """What a run's metrics.json says, of the model that was there before."""
    ranks_of_names = metrics(name_match(mentions, made.entities), len(made.entities))
    described = describe(run, read_configuration(run), made, made, "tune (held out of train)")
    return {**figures, "name_match": ranks_of_names, "slices": {}, **described}


def _noted(out: Path, model: KeptModel) -> KeptModel:
    write_json(out / FILE, vars(model))
    return model
