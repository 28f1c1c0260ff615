"""Encoders by name: from a specification, or from the directory that one was saved to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from melder.data.items import Separator
from melder.encoders.clip import read_clip
from melder.encoders.compact import compact_pictures, compact_text
from melder.encoders.joined_pictures import JoinedPictures
from melder.encoders.joint import read_joint
from melder.encoders.paired import read_pictures, read_text
from melder.encoders.precomputed import StoredPictures, find_files, find_networks
from melder.encoders.sources import find_source
from melder.encoders.starter import read_efficientnet, starter_text
from melder.encoders.towers import FORMAT, Context, ImageTower, Options, TextTower, Towers
from melder.records import MelderError
from melder.registry import Entry, Registry

__all__ = [
    "ENCODERS",
    "IMAGE_TOWERS",
    "TEXT_TOWERS",
    "EncoderKind",
    "Parts",
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
# What MIMIC's loader writes, beside nothing too; no special token of CLIP's, but three ordinary ones.
PUBLISHED_SEPARATOR = Separator(" [SEP] ", stands_alone=True)
SEPARATOR = ". "
STARTER_VISION = "efficientnet-lite2"  # the vision of paired: that comes with melder[starter]
SMALL_TEXT = "clip:compact"  # the text of paired: and precomputed: that is trained from scratch

Pooled = Literal["projected", "raw"]


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


TextLoader = Callable[[Path, dict[str, Any]], TextTower]  # from where a tower was saved, and what it said of itself
ImageLoader = Callable[[Path, dict[str, Any]], ImageTower]

_HERE = "melder.encoders.resolver"
ENCODERS = Registry[EncoderKind](
    "encoder",
    "melder.encoders",
    (
        Entry("starter", f"{_HERE}:STARTER", "MiniLM and EfficientNet-Lite2, installed by pip: no network", "starter"),
        Entry("clip", f"{_HERE}:CLIP", "a CLIP, by its name on the hub or its directory"),
        Entry("clip:compact", f"{_HERE}:COMPACT", "a small CLIP and its tokenizer, trained from scratch"),
        Entry("clip:compact-64", f"{_HERE}:COMPACT_64", "the same with pictures of 64 pixels: half the work"),
        Entry("joint", f"{_HERE}:JOINT", "a model of texts and pictures: SigLIP 2, MetaCLIP 2 and so on"),
        Entry("paired", f"{_HERE}:PAIRED", "any text model with any vision model, or with none"),
        Entry("precomputed", f"{_HERE}:PRECOMPUTED", "stored features of pictures with any text model"),
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
    picture_formats: tuple[str, ...] | None = None,
    picture_pixels: int | None = None,
) -> Towers:
    """The encoder that a specification names, in evaluation mode.

    Downloads only what is named by a hub name.

    Args:
        text_length: Texts are cut to this many tokens.
        texts: What the tokenizer of `clip:compact` is trained on; nothing else reads it.
        published: As MIMIC's code feeds CLIP: texts padded to `text_length`, `[SEP]` between name and description.
        pooled: A picture's global vector, `raw` = before CLIP's projection and not normalised, which GEMEL reads;
            stored features are what they are.
        width: So many first numbers of a text's vector are used (a joint model's pictures too), None = all; only models
            trained for that, by Matryoshka losses, are as good then.
        context: Of a mention's text that is longer than `text_length`, the words around the mention are read (window),
            or its beginning; in published mode always the beginning.
        picture_formats, picture_pixels: Pictures that are decoded at all; None = the usual ones.

    Raises:
        MelderError: The specification or what it names does not exist.
    """
    kind, rest = ENCODERS.resolve(spec)
    raw = pooled == "raw"
    parts = kind.build(rest, Options(text_length, texts, published, raw, width, picture_formats, picture_pixels))
    if width not in (None, parts.text.widths[0]):
        raise MelderError(
            f"encoder.width is {width}, but texts of '{spec}' have vectors of {parts.text.widths[0]} numbers, which "
            "cannot be cut to that; leave it out, or lower it for a text model or a joint one"
        )
    return _assembled(spec, parts, "beginning" if published else context)


def load_encoder(directory: Path) -> Towers:
    """The encoder that was saved to a directory, in evaluation mode and still without its weights.

    Weights come from the run, by `load_state_dict`.

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
    """Whether the encoder that a specification names opens pictures, or knows what is stored of them."""
    return ENCODERS.resolve(spec)[0].decodes_pictures


def from_scratch(spec: str) -> bool:
    """Whether the encoder that a specification names knows nothing before it is trained."""
    kind, rest = ENCODERS.resolve(spec)
    return kind.from_scratch(rest)


def trained_by_default(spec: str) -> bool:
    """Whether a configuration that does not say so trains this encoder; False for the name of none."""
    return ENCODERS.name_in(spec) in ENCODERS and ENCODERS.resolve(spec)[0].trained_by_default


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
