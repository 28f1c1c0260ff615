"""Files of mentions: what mentions share is decoded and encoded once, in whatever blocks they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

import melder
from melder.encoders import pixels
from melder.jobs import mention_file
from melder.jobs.mention_file import links_of
from melder.linking import ExactLinker
from melder.records import Mention


@pytest.mark.parametrize("at_once", [256, 7])
def test_a_picture_of_a_whole_file_is_decoded_once_and_encoded_once(
    small_run: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    linker = melder.load(small_run, small_data)
    assert isinstance(linker, ExactLinker)
    decoded, encoded, read = list[int](), list[int](), pixels.read_picture
    tower = linker.model.encoder.image
    assert tower is not None
    forward = tower.forward  # type: ignore[attr-defined]
    monkeypatch.setattr(pixels, "read_picture", lambda *a, **b: decoded.append(1) or read(*a, **b))
    monkeypatch.setattr(
        tower, "forward", lambda inputs: encoded.append(int(inputs["image_mask"].sum())) or forward(inputs)
    )
    monkeypatch.setattr(mention_file, "AT_ONCE", at_once)
    picture = small_data / "copy.png"
    picture.write_bytes((small_data / "images/0.png").read_bytes())
    mentions = [
        Mention(id=str(n), text=f"kite {n}", start=0, end=4, surface="kite", image=picture.name) for n in range(20)
    ]
    links = [link for block in links_of(linker, mentions, small_data, 2) for link in block]
    picture.unlink()
    assert [link.id for link in links] == [mention.id for mention in mentions]
    assert (len(decoded), sum(encoded)) == (1, 1)
