"""What demonstrations are found by, of the mentions that are linked and of those that demonstrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from melder.data.gemel import unmarked
from melder.encoders.towers import TextTower
from melder.generative.demonstrations import Demonstrations, join_keys
from melder.generative.sentences import embed_texts
from melder.methods.gemel import DemonstrationsConfiguration, GEMELConfiguration
from melder.runs.configuration_file import checked, read_yaml

__all__ = ["demonstration_keys", "with_keys"]


def demonstration_keys(
    tower: TextTower,
    options: DemonstrationsConfiguration,
    surfaces: Sequence[str],
    texts: Sequence[str],
    pictures: Tensor,
) -> Tensor:
    """Keys of n mentions; nothing is computed where no demonstrations are shown or a weight is 0.

    Args:
        tower: Embeds surfaces and texts.
        options: The weights of the parts.
        surfaces: n strings.
        texts: n strings, as they were before any markers.
        pictures: [n, g] or [n, patches, g], zeros where there is none.

    Returns:
        [n, k], of which inner products are the similarities.

    Raises:
        MelderError: Every weight is 0.
    """
    if not options.count:
        return torch.zeros(len(surfaces), 1)
    parts = []
    if options.surface:
        parts.append((options.surface, embed_texts(tower, surfaces)))
    if options.context:
        parts.append((options.context, embed_texts(tower, texts)))
    if options.picture:
        parts.append((options.picture, pictures.mean(dim=1) if pictures.dim() > 2 else pictures))
    return join_keys(parts)


def with_keys(
    demonstrations: Demonstrations,
    run: Path,
    options: DemonstrationsConfiguration,
    tower: TextTower,
) -> Demonstrations:
    """The demonstrations of a run with the keys that `options` ask for.

    A run keeps the keys of its own settings. Where it is opened with others (it was trained without demonstrations,
    say, and is to show some), its demonstrations get new ones.

    Args:
        demonstrations: As the run keeps them.
        run: Its directory.
        options: The settings that it is opened with.
        tower: Embeds surfaces and texts.

    Returns:
        The same, or with other keys.

    Raises:
        MelderError: The configuration of the run is damaged.
    """
    file = run / "config.yaml"
    trained = checked(GEMELConfiguration, read_yaml(file)["method"], str(file))
    if not options.count or (trained.demonstrations.count and _sources(trained.demonstrations) == _sources(options)):
        return demonstrations
    shown = demonstrations.shown
    surfaces, texts = [row.surface for row in shown], [row.text for row in shown]
    if trained.markers:
        texts = [unmarked(row.text, row.surface)[0] for row in shown]
    keys = demonstration_keys(tower, options, surfaces, texts, demonstrations.pictures)
    return replace(demonstrations, keys=keys)


def _sources(options: DemonstrationsConfiguration) -> dict[str, object]:
    """All settings that keys depend on."""
    return options.model_dump(exclude={"count", "skip"})
