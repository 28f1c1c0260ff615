"""Training without labels: a data set of mentions that are made from the entities of a data set or knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from melder.data import DataSet, UnreadablePicture, load, read_picture
from melder.data.dataset import inside
from melder.data.from_entities import make_mentions
from melder.data.own import OwnLayout
from melder.data.writing import claim, write_dataset, write_lines
from melder.encoders import decodes_pictures
from melder.encoders.views import random_view
from melder.io.atomic import remove, writing
from melder.kb import KnowledgeBase, is_knowledge_base, open_knowledge_base
from melder.methods import METHODS
from melder.protocols import Counting
from melder.records import BadRecord, Entity, MelderError
from melder.runs.configuration_file import override
from melder.runs.model_configuration import DataConfiguration
from melder.training.configuration import Configuration
from melder.training.split import open_data

__all__ = ["MADE", "WrittenMentions", "data_to_train_on", "without_labels", "write_made"]

MADE = "from-entities"  # in a run: the data set that was made
EACH = 8  # mentions of an entity: each of its names and of their parts about once
EXACT = 1.0  # what a surface counts more that is all of a name: twice as much as one that is alike
SIDE = 224  # pixels of a view: what most vision models read
QUALITY = 90  # of its JPEG


@dataclass(frozen=True)
class WrittenMentions:
    """What was made of entities.

    Args:
        mentions: How many.
        views: Of pictures, how many.
        unreadable: Pictures that could not be viewed, with the reasons.
        skipped: Bad records that were left out.
    """

    mentions: int
    views: int
    unreadable: Mapping[str, str]
    skipped: Sequence[BadRecord]


def without_labels(recipe: Mapping[str, Any], assignments: Sequence[str], source: Path) -> list[str]:
    """The assignments that make a recipe train on the entities of `source`, the given ones last.

    Distractors are entities with look-alike names, and names count at least half of what they begin with,
    twice that where they are exact, unless the recipe says otherwise: made mentions say little of how much real ones
    lean on names.

    Args:
        recipe: The sections of a configuration file.
        assignments: `key=value` settings that were given.
        source: A data set or a knowledge base.

    Returns:
        `key=value` settings.
    """
    settings = override(recipe, assignments)
    data, training = settings.get("data") or {}, settings.get("training") or {}
    method = str((settings.get("method") or {}).get("name"))
    chosen = [f"data.directory={source}", f"data.from_entities={data.get('from_entities') or EACH}"]
    samples = method not in METHODS or METHODS.get(method).samples_negatives
    if samples and not (training.get("negatives") or {}).get("sampler"):
        chosen.append("training.negatives.sampler=lexical")
    return [*assignments, *chosen, *_names(settings.get("method") or {})]


def _names(method: Mapping[str, Any]) -> list[str]:
    """The floor of the weight of names, and what an exact one counts more, where the method has these settings and the
    recipe does not."""
    name = str(method.get("name"))
    fields = METHODS.get(name).configuration.model_fields if name in METHODS else {}
    if "lexical_floor" not in fields or method.get("lexical") is False:
        return []
    weight = method.get("lexical_weight", fields["lexical_weight"].default)
    chosen = {"lexical_floor": weight / 2, "lexical_exact": EXACT}
    return [f"method.{key}={value}" for key, value in chosen.items() if key not in method]


def data_to_train_on(configuration: Configuration, out: Path, counting: Counting) -> DataSet:
    """The data set that the configuration names or, with `data.from_entities`, the one made from it, inside `out`.

    Args:
        configuration: Of the training.
        out: The directory of the run.
        counting: Starts a progress bar with a title and a total.

    Returns:
        Opened.

    Raises:
        MelderError: It cannot be read.
    """
    data, made = configuration.data, out / MADE
    if not data.from_entities:
        return open_data(configuration)
    if not (made / OwnLayout(made).entity_file.name).is_file():
        write_made(
            data,
            made,
            data.from_entities,
            configuration.training.seed,
            views=decodes_pictures(configuration.encoder.name) and not configuration.training.augment,
            counting=counting,
        )
    return load(made)


def write_made(
    data: DataConfiguration,
    out: Path,
    count: int,
    seed: int,
    *,
    views: bool = True,
    counting: Counting,
) -> WrittenMentions:
    """Write mentions of the entities of a data set or a knowledge base to the new directory `out`.

    `out` appears when all of it is there. A picture that cannot be read is not shown by a mention.

    Args:
        data: Where the entities are, and how they are read.
        count: Mentions of each entity.
        seed: Of what is drawn.
        views: Whether mentions show views of the entities' pictures.
        counting: Starts a progress bar with a title and a total.

    Returns:
        What could not be read or was left out.

    Raises:
        MelderError: `out` is in use, or there is nothing to make mentions from.
    """
    claim(out)
    source, pictures = data.directory, out.with_name(f"{out.name}.pictures")
    _remove(pictures)
    if is_knowledge_base(source):
        dataset = _exported(source, pictures)
    else:
        dataset = load(source, data.layout, data.text_field, data.skip_bad)
    made = make_mentions(dataset.entities, count, seed, views=views)
    bare = [m.model_copy(update={"image": None}) if m.image in made.views else m for m in made.mentions]
    with writing(out, durable=False) as partial:
        write_dataset(_one_folder(dataset), partial, entities=made.entities, splits={"train": bare}, counting=counting)
        unreadable = _draw(made.views, dataset.entity_image, partial, counting)
        readable = [m.model_copy(update={"image": None}) if m.image in unreadable else m for m in made.mentions]
        write_lines(partial / "train.jsonl", readable)
        out.rmdir()
    _remove(pictures)
    return WrittenMentions(len(readable), len(made.views) - len(unreadable), unreadable, dataset.skipped)


def _draw(
    views: Mapping[str, tuple[str, int]], where: Callable[[str], Path], out: Path, counting: Counting
) -> dict[str, str]:
    """Draw the views; those that cannot be, with the reasons."""
    if not views:
        return {}
    advance, unreadable = counting("drawing views", len(views)), dict[str, str]()
    for name, (image, seed) in views.items():
        (out / name).parent.mkdir(exist_ok=True)
        try:
            picture = np.asarray(read_picture(where(image)))
        except UnreadablePicture as error:
            unreadable[name] = str(error)
        else:
            Image.fromarray(random_view(picture, seed, SIDE)).save(out / name, "JPEG", quality=QUALITY)
        advance(1)
    return unreadable


def _one_folder(dataset: DataSet) -> DataSet:
    """The data set with the pictures of mentions among those of entities, which the mentions are made from."""
    layout = OwnLayout(dataset.directory)
    layout.entity_pictures = layout.mention_pictures = dataset.layout.entity_pictures
    return DataSet(dataset.directory, dataset.entities, layout)


def _exported(source: Path, pictures: Path) -> DataSet:
    """The entities of a knowledge base, with the pictures that it stored as files below `pictures`.

    Of one that stores none the names stay, by which features of pictures are found.
    """
    with open_knowledge_base(source) as base:
        entities = list(base.entities)
        if base.generation.settings.pictures != "none":
            entities = [_with_files(entity, row, base, pictures) for row, entity in enumerate(entities)]
    return DataSet(source, entities, OwnLayout(pictures))


def _with_files(entity: Entity, row: int, base: KnowledgeBase, pictures: Path) -> Entity:
    names = []
    for number, name in enumerate(entity.images):
        content = base.picture(row, number)
        if content is not None:
            file = inside(pictures, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            names.append(name)
    return entity.model_copy(update={"images": tuple(names)})


def _remove(directory: Path) -> None:
    try:
        remove(directory)
    except OSError as error:
        raise MelderError(f"{directory}: cannot be removed ({error.strerror}); remove it, and try again") from None
