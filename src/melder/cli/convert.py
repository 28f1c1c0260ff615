"""`melder convert`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import say
from melder.records import MelderError

__all__ = ["convert"]


def convert(
    method: str = typer.Argument(help="A method with published weights: m3el, mimic or ot_mel."),
    checkpoint: Path = typer.Argument(help="A checkpoint of the published code, or its state dict as safetensors."),
    clip: str = typer.Option(
        ..., "--clip", help="The CLIP it was trained from: a directory, or a hub name, which is downloaded."
    ),
    out: Path = typer.Option(..., "--out", help="The directory of the run."),
    variant: str = typer.Option(None, "--variant", help="M3EL's cross-modal unit, cmm or cmmb; default: cmm."),
    text_field: str = typer.Option(
        None, "--text-field", help="Entities' text in the MIMIC layout, attr or desc; default: as published."
    ),
    allow_pickle: bool = typer.Option(
        False, "--allow-pickle", help="Read a checkpoint that is a pickle: its weights only, no code in it is run."
    ),
) -> None:
    """Turn a checkpoint of a method's published code into a run in published mode.

    \b
    melder convert m3el wikimel.ckpt --clip openai/clip-vit-base-patch32 --allow-pickle --out runs/m3el-official
    melder evaluate runs/m3el-official --data data/wikimel --split dev
    """
    if text_field not in (None, "attr", "desc"):
        raise MelderError(f"--text-field {text_field}: an entity's text is attr or desc")
    from melder.runs.import_checkpoint import convert as run

    run(
        method,
        checkpoint,
        out,
        clip=clip,
        variant=variant,
        text_field=text_field,  # type: ignore[arg-type]
        allow_pickle=allow_pickle,
    )
    say(f"The run is in {out}. Next: melder evaluate {out} --data DIR --split dev")
