"""Encoders by name: from a specification, or from the directory that one was saved to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from melder.data.items import Separator
from melder.data.pictures import Limits, known_formats
from melder.encoders.kinds import EncoderKind, Parts
from melder.encoders.towers import FORMAT, Context, ImageTower, Options, TextTower, Towers
from melder.records import MelderError
from melder.registry import Entry, Registry

__all__ = [
    "ENCODERS",
    "IMAGE_TOWERS",
    "TEXT_TOWERS",
    "Pooled",
    "build_encoder",
    "decodes_pictures",
    "from_scratch",
    "load_encoder",
    "trained_by_default",
]

FORMS = (
    "clip:<name or directory>, clip:compact, clip:compact-64, joint:<name or directory>, "
    "paired:<text>+<vision or none>, "
    "precomputed:<files>+<text>, starter"
)
Pooled = Literal["projected", "raw"]


TextLoader = Callable[[Path, dict[str, Any]], TextTower]  # from where a tower was saved, and what it said of itself
ImageLoader = Callable[[Path, dict[str, Any]], ImageTower]

_KINDS = "melder.encoders.kinds"
ENCODERS = Registry[EncoderKind](
    "encoder",
    "melder.encoders",
    (
        Entry("starter", f"{_KINDS}:STARTER", "MiniLM and EfficientNet-Lite2, installed by pip: no network", "starter"),
        Entry("clip", f"{_KINDS}:CLIP", "a CLIP, by its name on the hub or its directory"),
        Entry("clip:compact", f"{_KINDS}:COMPACT", "a small CLIP and its tokenizer, trained from scratch"),
        Entry("clip:compact-64", f"{_KINDS}:COMPACT_64", "the same with pictures of 64 pixels: half the work"),
        Entry("joint", f"{_KINDS}:JOINT", "a model of texts and pictures: SigLIP 2, MetaCLIP 2 and so on"),
        Entry("paired", f"{_KINDS}:PAIRED", "any text model with any vision model, or with none"),
        Entry("precomputed", f"{_KINDS}:PRECOMPUTED", "stored features of pictures with any text model"),
    ),
    FORMS,
)
TEXT_TOWERS = Registry[TextLoader](
    "text tower",
    "melder.text_towers",
    (
        Entry("clip", "melder.encoders.clip:ClipText.load", "CLIP's"),
        Entry("joint", "melder.encoders.joint:JointText.load", "a joint model's"),
        Entry("pretrained", "melder.encoders.paired:PretrainedText.load", "any text model's"),
    ),
)
IMAGE_TOWERS = Registry[ImageLoader](
    "image tower",
    "melder.image_towers",
    (
        Entry("clip", "melder.encoders.clip:ClipPictures.load", "CLIP's"),
        Entry("compact", "melder.encoders.compact:CompactPictures.load", "the small CLIP's"),
        Entry("efficientnet-lite2", "melder.encoders.starter:EfficientNetPictures.load", "EfficientNet-Lite2"),
        Entry("joined", "melder.encoders.joined_pictures:JoinedPictures.load", "stored features of several networks"),
        Entry("joint", "melder.encoders.joint:JointPictures.load", "a joint model's"),
        Entry("pretrained", "melder.encoders.paired:PretrainedPictures.load", "any vision model's"),
        Entry("stored", "melder.encoders.precomputed:StoredPictures.load", "stored features"),
    ),
)


def build_encoder(
    spec: str,
    *,
    text_length: int = 40,
    texts: Iterable[str] = (),
    published: bool = False,
    pooled: Pooled = "projected",
    width: int | None = None,
    context: Context = "window",
    limits: Limits | None = None,
) -> Towers:
    """The encoder that a specification names, in evaluation mode.

    Downloads only what is named by a hub name.

    Args:
        spec: One of `melder list encoders`, such as clip:NAME.
        text_length: Texts are cut to this many tokens.
        texts: What the tokenizer of `clip:compact` is trained on; nothing else reads it.
        published: As MIMIC's code feeds CLIP: texts padded to `text_length`, `[SEP]` between name and description.
        pooled: A picture's global vector, `raw` = before CLIP's projection and not normalised, which GEMEL reads;
            stored features are what they are.
        width: So many first numbers of a text's vector are used (a joint model's pictures too), None = all; only models
            trained for that, by Matryoshka losses, are as good then.
        context: Of a mention's text that is longer than `text_length`, the words around the mention are read (window),
            or its beginning; in published mode always the beginning.
        limits: Of pictures that are decoded, whose formats and pixels count; None = the usual.

    Returns:
        the encoder, on the CPU

    Raises:
        MelderError: The specification or what it names does not exist.
    """
    kind, rest = ENCODERS.resolve(spec)
    for name, number in {
        "text_length": text_length,
        "width": width,
        "pixels of limits": None if limits is None else limits.pixels,
    }.items():
        if number is not None and number < 1:
            raise MelderError(f"{name} is {number}: give a number above 0, or leave it out")
    options = Options(text_length, texts, published, pooled == "raw", width)
    if limits is not None:
        options = replace(options, formats=_formats(limits), pixels=limits.pixels)
    parts = kind.build(rest, options)
    parts.text.tokens.check_room()
    if width not in (None, parts.text.widths[0]):
        raise MelderError(
            f"encoder.width is {width}, but texts of '{spec}' have vectors of {parts.text.widths[0]} numbers, which "
            "cannot be cut to that; leave it out, or lower it for a text model or a joint one"
        )
    return _assembled(spec, parts, "beginning" if published else context)


def load_encoder(directory: Path) -> Towers:
    """The encoder that was saved to a directory, in evaluation mode and still without its weights.

    Weights come from the run, by `load_state_dict`.

    Args:
        directory: that `Towers.save` wrote

    Returns:
        the encoder, on the CPU

    Raises:
        MelderError: The directory is not one that this version of Melder can read.
    """
    content = _read(directory / "encoder.json")
    try:
        text = TEXT_TOWERS.get(content["text"]["kind"])(directory / "text", content["text"])
        image = None
        if content["image"] is not None:
            image = IMAGE_TOWERS.get(content["image"]["kind"])(directory / "image", content["image"])
        context = content.get("context", "beginning")
        return _assembled(content["spec"], Parts(text, image, _stored_separator(content)), context)
    except (KeyError, TypeError) as error:
        raise _damaged(directory / "encoder.json", f"{error} is missing or unknown") from error


def decodes_pictures(spec: str) -> bool:
    """Whether the encoder that a specification names opens pictures, or knows what is stored of them.

    Args:
        spec: as for `build_encoder`

    Returns:
        False of stored features

    Raises:
        MelderError: It names no encoder.
    """
    return ENCODERS.resolve(spec)[0].decodes_pictures


def from_scratch(spec: str) -> bool:
    """Whether the encoder that a specification names knows nothing before it is trained.

    Args:
        spec: as for `build_encoder`

    Returns:
        True of the small CLIP

    Raises:
        MelderError: It names no encoder.
    """
    kind, rest = ENCODERS.resolve(spec)
    return kind.from_scratch(rest)


def trained_by_default(spec: str) -> bool:
    """Whether a configuration that does not say so trains this encoder; False for the name of none.

    Args:
        spec: as a configuration has it

    Returns:
        whether it is trained
    """
    return ENCODERS.name_in(spec) in ENCODERS and ENCODERS.resolve(spec)[0].trained_by_default


def _formats(limits: Limits) -> tuple[str, ...]:
    try:
        return known_formats(limits.formats)
    except ValueError as error:
        raise MelderError(f"formats of limits: {error}") from None


def _assembled(spec: str, parts: Parts, context: Context) -> Towers:
    encoder = Towers(spec, *parts, context)
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


def _stored_separator(content: dict[str, Any]) -> Separator:
    """Runs of before 0.3 were trained without the separator where one half is blank; they go on without it."""
    return Separator(content["separator"], stands_alone=bool(content.get("separator_stands_alone", False)))
