"""The encoders that a specification may name, each with what makes its towers of the rest of the specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from melder.data.items import Separator
from melder.encoders.clip import read_clip
from melder.encoders.compact import compact_pictures, compact_text
from melder.encoders.joined_pictures import JoinedPictures
from melder.encoders.joint import read_joint
from melder.encoders.paired import read_pictures, read_text
from melder.encoders.precomputed import StoredPictures, find_files, find_networks
from melder.encoders.sources import find_source
from melder.encoders.starter import read_efficientnet, starter_text
from melder.encoders.towers import ImageTower, Options, TextTower
from melder.records import MelderError

__all__ = ["EncoderKind", "Parts"]

# What MIMIC's loader writes, beside nothing too; no special token of CLIP's, but three ordinary ones.
PUBLISHED_SEPARATOR = Separator(" [SEP] ", stands_alone=True)
SEPARATOR = ". "
STARTER_VISION = "efficientnet-lite2"  # the vision of paired: that comes with melder[starter]
SMALL_TEXT = "clip:compact"  # the text of paired: and precomputed: that is trained from scratch


class Parts(NamedTuple):
    """What a builder makes of a specification: the towers, and what stands between the two halves of a text."""

    text: TextTower
    image: ImageTower | None
    separator: str = SEPARATOR


@dataclass(frozen=True)
class EncoderKind:
    """What is registered as an encoder.

    Args:
        build: Given what follows the name and its colon.
        decodes_pictures: It opens pictures; False: it looks up by their names what is stored of them.
        from_scratch: Whether with this after its name some of it knows nothing before it is trained.
        trained_by_default: All of it knows nothing, so that a configuration that says nothing trains it.
    """

    build: Callable[[str, Options], Parts]
    decodes_pictures: bool = True
    from_scratch: Callable[[str], bool] = lambda rest: False
    trained_by_default: bool = False


def _separator(options: Options) -> str:
    return PUBLISHED_SEPARATOR if options.published else SEPARATOR


def _clip(rest: str, options: Options) -> Parts:
    if not rest:
        raise MelderError("encoder 'clip' names no model: write clip:<name or directory>")
    return Parts(*read_clip(find_source(rest), options), _separator(options))


def _compact(rest: str, options: Options) -> Parts:
    return Parts(compact_text(options), compact_pictures(options), _separator(options))


def _compact_64(rest: str, options: Options) -> Parts:
    """The same towers with pictures of 64 pixels instead of 96: less than half the work."""
    return Parts(compact_text(options), compact_pictures(options, size=64), _separator(options))


def _joint(rest: str, options: Options) -> Parts:
    return Parts(*read_joint(find_source(rest), options))


def _paired(rest: str, options: Options) -> Parts:
    text, vision = _two(rest, "paired:<text>+<vision or none>")
    return Parts(_text(text, options), _vision(vision, options))


def _starter(rest: str, options: Options) -> Parts:
    return Parts(read_text(starter_text(), options), read_efficientnet(options))


def _precomputed(rest: str, options: Options) -> Parts:
    files, text = _two(rest, "precomputed:<files>+<text>")
    networks = [StoredPictures(find_files(network)) for network in find_networks(files)]
    return Parts(_text(text, options), networks[0] if len(networks) == 1 else JoinedPictures(networks))


def _text(spec: str, options: Options) -> TextTower:
    """A text tower on its own: the small one, or any text model."""
    if spec == "none":
        raise MelderError("an encoder needs a text model: 'none' is only for the vision of paired:<text>+none")
    return compact_text(options) if spec == SMALL_TEXT else read_text(find_source(spec), options)


def _vision(spec: str, options: Options) -> ImageTower | None:
    """A picture tower on its own: none, the starter's, or any vision model."""
    if spec == "none":
        return None
    return read_efficientnet(options) if spec == STARTER_VISION else read_pictures(find_source(spec), options)


def _two(rest: str, form: str) -> tuple[str, str]:
    first, _, second = rest.rpartition("+")
    if not first or not second:
        raise MelderError(f"encoder '{rest}' names one part where two are needed: write {form}")
    return first, second


def _has_small_text(rest: str) -> bool:
    return SMALL_TEXT in rest.split("+")


CLIP = EncoderKind(_clip)
COMPACT = EncoderKind(_compact, from_scratch=lambda rest: True, trained_by_default=True)
COMPACT_64 = EncoderKind(_compact_64, from_scratch=lambda rest: True, trained_by_default=True)
JOINT = EncoderKind(_joint)
PAIRED = EncoderKind(_paired, from_scratch=_has_small_text)
STARTER = EncoderKind(_starter)
PRECOMPUTED = EncoderKind(_precomputed, decodes_pictures=False, from_scratch=_has_small_text)
