"""An official checkpoint of a method as a run: the same weights, in published mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Literal

from torch import Tensor

from melder.encoders import Towers, build_encoder
from melder.runs.configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration
from melder.runs.model import Model
from melder.runs.official_checkpoint import read_official_state
from melder.runs.directory import write_run
from melder.methods import from_official_state_dict, method
from melder.methods.resolver import official_configuration
from melder.records import MelderError

__all__ = ["TextField", "convert"]

TextField = Literal["attr", "desc"]

# Official names in `encoder.clip.*` and Melder's; the scale of CLIP's own loss and old versions' position_ids go.
_CLIP = {
    "text_model.": "text.model.",
    "text_projection.": "text.projection.",
    "vision_model.": "image.model.",
    "visual_projection.": "image.projection.",
}


def convert(
    name: str,
    checkpoint: Path,
    out: Path,
    *,
    clip: str,
    variant: str | None = None,
    text_field: TextField | None = None,
    allow_pickle: bool = False,
) -> None:
    """Write the run `out` with a checkpoint's weights.

    name: the method; variant: of M3EL, `cmm` (default) or `cmmb`
    clip: the CLIP that the checkpoint was trained from, a directory or a hub name; its tokenizer and sizes are used
    text_field: the entities' text in the MIMIC layout; default: the one the method was published with

    Raises `MelderError` when the method has no official weights, the checkpoint is of another method or CLIP, or
    `out` holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MelderError(f"{out}: is there already; name another directory, or remove this one first")
    options = _options(name, variant)
    state = read_official_state(checkpoint, allow_pickle=allow_pickle)
    try:
        configuration = official_configuration(name, state, **options)
        matcher = from_official_state_dict(name, state, **options)
    except MelderError as error:
        raise MelderError(f"{checkpoint}: {error}") from None
    encoder = build_encoder(f"clip:{clip}", published=True)
    _load_clip(encoder, state, checkpoint, clip)
    described = ModelConfiguration(
        data=DataConfiguration(directory=Path("unknown"), text_field=text_field or published_text_field(name)),
        encoder=EncoderConfiguration(name=f"clip:{clip}", trained=True),
        method=configuration,
    )
    write_run(out, Model(encoder, matcher), described.model_dump(mode="json"))


def published_text_field(name: str) -> TextField:
    """M3EL's data files have descriptions, those of the others attributes (the loaders of each repository)."""
    return "desc" if name == "m3el" else "attr"


def _options(name: str, variant: str | None) -> dict[str, str]:
    method(name)
    if variant is None:
        return {}
    if name != "m3el":
        raise MelderError(f"--variant {variant}: {name} has no variants; leave it out")
    if variant not in ("cmm", "cmmb"):
        raise MelderError(f"--variant {variant}: M3EL's cross-modal units are cmm and cmmb")
    return {"variant": variant}


def _load_clip(encoder: Towers, state: Mapping[str, Tensor], checkpoint: Path, clip: str) -> None:
    prefix = "encoder.clip."
    names = {name: _ours(name.removeprefix(prefix)) for name in state if name.startswith(prefix)}
    weights = {ours: state[name] for name, ours in names.items() if ours is not None}
    if not weights:
        raise MelderError(f"{checkpoint}: holds no CLIP (encoder.clip.*); name the whole checkpoint of a training")
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        reason = shorten(str(error).partition("\n")[2] or str(error), 200, placeholder=" …")
        raise MelderError(
            f"{checkpoint}: its CLIP is not {clip!r} ({reason}); name the one it was trained from"
        ) from None


def _ours(name: str) -> str | None:
    """Melder's name of a parameter of CLIP; None for what is dropped."""
    if name.endswith("position_ids") or name == "logit_scale":
        return None
    start = next((start for start in _CLIP if name.startswith(start)), None)
    return name if start is None else _CLIP[start] + name.removeprefix(start)
