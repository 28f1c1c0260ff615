"""An official checkpoint of a method as a run: the same weights, in published mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Literal

from torch import Tensor

from melder.encoders import Towers, build_encoder
from melder.io.atomic import writing
from melder.methods.official import OfficialWeights
from melder.methods.resolver import official_weights
from melder.records import MelderError
from melder.runs.directory import write_run
from melder.runs.model import Model
from melder.runs.model_configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration
from melder.runs.official_checkpoint import read_official_state

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

    Args:
        name: The method.
        variant: Of M3EL, `cmm` (default) or `cmmb`.
        clip: The CLIP that the checkpoint was trained from, a directory or a hub name; its tokenizer and sizes are
            used.
        text_field: The entities' text in the MIMIC layout; default: the one the method was published with.

    Raises:
        MelderError: The method has no official weights, the checkpoint is of another method or CLIP, or `out` holds
            something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MelderError(f"{out}: is there already; name another directory, or remove this one first")
    official = official_weights(name)
    options = _options(name, official, variant)
    state = read_official_state(checkpoint, allow_pickle=allow_pickle)
    try:
        configuration = official.configuration(state, **options)
        matcher = official.matcher(state, **options)
    except MelderError as error:
        raise MelderError(f"{checkpoint}: {error}") from None
    encoder = build_encoder(f"clip:{clip}", published=True)
    _load_clip(encoder, state, checkpoint, clip)
    described = ModelConfiguration(
        data=DataConfiguration(directory=Path("unknown"), text_field=text_field or official.text_field),
        encoder=EncoderConfiguration(name=f"clip:{clip}", trained=True),
        method=configuration,
    )
    with writing(out) as partial:
        write_run(partial, Model(encoder, matcher), described.model_dump(mode="json"))


def _options(name: str, official: OfficialWeights, variant: str | None) -> dict[str, str]:
    if variant is None:
        return {}
    if not official.variants:
        raise MelderError(f"--variant {variant}: {name} has no variants; leave it out")
    if variant not in official.variants:
        raise MelderError(f"--variant {variant}: of {name} there are {' and '.join(official.variants)}")
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
