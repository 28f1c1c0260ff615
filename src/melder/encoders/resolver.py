"""Encoders by name: from a specification, or from the directory that one was saved to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from melder.encoders.clip import ClipPictures, ClipText, read_clip
from melder.encoders.compact import CompactPictures, compact_pictures, compact_text
from melder.encoders.joint import JointPictures, JointText, read_joint
from melder.encoders.paired import PretrainedPictures, PretrainedText, read_pictures, read_text
from melder.encoders.precomputed import StoredPictures, find_files
from melder.encoders.sources import find_source
from melder.encoders.towers import FORMAT, Context, ImageTower, Options, TextTower, Towers
from melder.records import MelderError

__all__ = ["BUILDERS", "Pooled", "build_encoder", "load_encoder"]

FORMS = (
    "clip:<name or directory>, clip:compact, joint:<name or directory>, paired:<text>+<vision or none>, "
    "precomputed:<files>+<text>"
)
PUBLISHED_SEPARATOR = " [SEP] "  # what MIMIC's loader writes; no special token of CLIP's, but three ordinary ones
SEPARATOR = ". "

Pooled = Literal["projected", "raw"]
Both = tuple[TextTower, ImageTower | None]


def build_encoder(
    spec: str,
    *,
    text_length: int = 40,
    texts: Iterable[str] = (),
    published: bool = False,
    pooled: Pooled = "projected",
    width: int | None = None,
    context: Context = "window",
    picture_formats: tuple[str, ...] | None = None,
    picture_pixels: int | None = None,
) -> Towers:
    """The encoder that a specification names, in evaluation mode.

    text_length: texts are cut to this many tokens
    texts: what the tokenizer of `clip:compact` is trained on; nothing else reads it
    published: as MIMIC's code feeds CLIP: texts padded to `text_length`, `[SEP]` between name and description
    pooled: a picture's global vector, `raw` = before CLIP's projection and not normalised, which GEMEL reads; stored
        features are what they are
    width: so many first numbers of a text's vector are used (a joint model's pictures too), None = all; only models
        trained for that, by Matryoshka losses, are as good then
    context: of a mention's text that is longer than `text_length`, the words around the mention are read (window), or
        its beginning; in published mode always the beginning
    picture_formats, picture_pixels: pictures that are decoded at all; None = the usual ones

    Raises `MelderError` when the specification or what it names does not exist. Downloads only what is named by
    a hub name.
    """
    kind, _, rest = spec.partition(":")
    builder = BUILDERS.get(spec) or BUILDERS.get(kind)
    if builder is None or not rest:
        raise MelderError(f"unknown encoder '{spec}': an encoder is one of {FORMS}")
    raw = pooled == "raw"
    options = Options(text_length, texts, published, raw, width, picture_formats, picture_pixels)
    text, image = builder(rest, options)
    if width not in (None, text.widths[0]):
        raise MelderError(
            f"encoder.width is {width}, but texts of '{spec}' have vectors of {text.widths[0]} numbers, which cannot "
            "be cut to that; leave it out, or lower it for a text model or a joint one"
        )
    separator = PUBLISHED_SEPARATOR if kind == "clip" and published else SEPARATOR
    return _assembled(spec, text, image, separator, "beginning" if published else context)


def load_encoder(directory: Path) -> Towers:
    """The encoder that was saved to a directory, in evaluation mode and still without its weights.

    Weights come from the run, by `load_state_dict`. Raises `MelderError` when the directory is not one that
    this version of Melder can read.
    """
    content = _read(directory / "encoder.json")
    try:
        text = TEXT_TOWERS[content["text"]["kind"]](directory / "text", content["text"])
        image = None
        if content["image"] is not None:
            image = IMAGE_TOWERS[content["image"]["kind"]](directory / "image", content["image"])
        context = content.get("context", "beginning")
        return _assembled(content["spec"], text, image, content["separator"], context)
    except (KeyError, TypeError) as error:
        raise _damaged(directory / "encoder.json", f"{error} is missing or unknown") from error


def _assembled(spec: str, text: TextTower, image: ImageTower | None, separator: str, context: Context) -> Towers:
    encoder = Towers(spec, text, image, separator, context)
    encoder.eval()
    return encoder


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(file, f"it is not of format {FORMAT}, which this version of Melder reads")
    return content


def _damaged(file: Path, reason: str) -> MelderError:
    return MelderError(f"{file}: no encoder can be read ({reason}); train again, or copy the whole run")


def _clip(rest: str, options: Options) -> Both:
    return read_clip(find_source(rest), options)


def _joint(rest: str, options: Options) -> Both:
    return read_joint(find_source(rest), options)


def _compact(rest: str, options: Options) -> Both:
    return compact_text(options), compact_pictures(options)


def _paired(rest: str, options: Options) -> Both:
    text, vision = _two(rest, "paired:<text>+<vision or none>")
    image = None if vision == "none" else read_pictures(find_source(vision), options)
    return _text(text, options), image


def _precomputed(rest: str, options: Options) -> Both:
    files, text = _two(rest, "precomputed:<files>+<text>")
    return _text(text, options), StoredPictures(find_files(files))


def _text(spec: str, options: Options) -> TextTower:
    """A text tower on its own: the small one, or any text model."""
    if spec == "none":
        raise MelderError("an encoder needs a text model: 'none' is only for the vision of paired:<text>+none")
    return compact_text(options) if spec == "clip:compact" else read_text(find_source(spec), options)


def _two(rest: str, form: str) -> tuple[str, str]:
    first, _, second = rest.rpartition("+")
    if not first or not second:
        raise MelderError(f"encoder '{rest}' names one part where two are needed: write {form}")
    return first, second


BUILDERS: dict[str, Callable[[str, Options], Both]] = {
    "clip": _clip,
    "clip:compact": _compact,
    "joint": _joint,
    "paired": _paired,
    "precomputed": _precomputed,
}
TEXT_TOWERS: dict[str, Callable[[Path, dict[str, Any]], TextTower]] = {
    "clip": ClipText.load,
    "joint": JointText.load,
    "pretrained": PretrainedText.load,
}
IMAGE_TOWERS: dict[str, Callable[[Path, dict[str, Any]], ImageTower]] = {
    "clip": ClipPictures.load,
    "compact": CompactPictures.load,
    "joint": JointPictures.load,
    "pretrained": PretrainedPictures.load,
    "stored": StoredPictures.load,
}
