"""Makes the stored sample of the versions that this Melder writes: VERSION.tar.xz beside this file.

    python tests/data/versions/make.py

In it: `data` (a data set of a dozen creatures), `run` (a training on it), `kb` (a knowledge base built with the run,
an index, and what it learned), `features` (what `melder features` wrote), `predictions.jsonl` and `links.jsonl` (what
was answered then). A sample is never made again once its version is released: it stays what the Melder of that time
wrote.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

from melder.cli import app
from melder.encoders import compact
from melder.io.versions import VERSIONS

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from training.small import read_lines, settings, write_data, write_lines  # noqa: E402

KEPT = ("data", "run", "kb", "features", "predictions.jsonl", "links.jsonl")


def make(out: Path) -> None:
    """Write the sample, with a run that is as small as a run can be."""
    compact.PROJECTION, compact.TEXT_WIDTH, compact.TEXT_LAYERS, compact.TEXT_HEADS = 8, 8, 1, 2
    compact.STAGES = ((4, 0), (4, 0), (4, 0), (4, 0))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # paths in what is written are relative
        write_data(Path("data"))
        entities = read_lines(Path("data/entities.jsonl"))
        for entity, next_one in zip(entities, [*entities[1:], entities[0]], strict=True):
            entity["images"] = [*entity["images"], *next_one["images"][:1]]
        write_lines(Path("data/entities.jsonl"), entities)
        recipe = settings(Path("data"), epochs=1, checkpoint_every=1000)
        recipe["method"] |= {"hidden": 4, "image_width": 4}
        Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
        melder("train", "recipe.yaml", "--out", "run")
        shutil.rmtree("run/checkpoints")
        shutil.rmtree("run/logs")
        melder("kb", "build", "run", "--entities", "data/entities.jsonl", "--out", "kb")
        melder("kb", "index", "kb", "--kind", "flat")
        melder("kb", "learn", "kb", "data/dev.jsonl")
        melder("features", "recipe.yaml", "--out", "features")
        melder("evaluate", "run", "--data", "data", "--predictions", "predictions.jsonl")
        melder("link", "kb", "--input", "data/test.jsonl", "--output", "links.jsonl")
        with tarfile.open(out, "w:xz") as archive:
            for name in KEPT:
                archive.add(name, filter=nobody)


def nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what only this machine knows: users and times."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def melder(*arguments: str) -> None:
    print("melder", *arguments)
    app(arguments, standalone_mode=False)


if __name__ == "__main__":
    versions = {stored.current for stored in VERSIONS.values()}
    make(HERE / f"{max(versions)}.tar.xz")
