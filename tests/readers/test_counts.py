"""What `melder data info` counts, on records whose counts are plain to see."""

from __future__ import annotations

from melder.data import load
from melder.data.counts import EntityCounts, SplitCounts, count

ENTITIES = [
    {"id": "a", "name": "Guinea", "description": "A country.", "images": ["a.png", "b.png"]},
    {"id": "b", "name": "guinea", "images": ["a.png", "x" * 300]},
    {"id": "c", "description": "Nameless."},
]
MENTION = {"text": "In GUINEA", "surface": "GUINEA", "start": 3, "end": 9, "image": "a.png"}
MENTIONS = [
    {**MENTION, "id": "1", "answer": "a"},
    {**MENTION, "id": "2", "answer": "c", "image": None},
    {"id": "3", "text": "", "surface": "Mali", "answer": None, "image": "none.png"},
    {"id": "4", "text": "In GUINEA", "surface": "", "answer": "c", "image": "none.png"},
]


def test_every_count(own):
    directory = own(ENTITIES, dev=MENTIONS)
    (directory / "a.png").write_bytes(b"any")
    counts = count(load(directory))
    assert counts.entities == EntityCounts(entities=3, texts=2, pictured=2, pictures=3, missing_pictures=2, homonyms=2)
    assert counts.splits == {
        "dev": SplitCounts(
            mentions=4,
            texts=2,
            answers=2,
            nil=1,
            pictured=3,
            pictures=2,
            missing_pictures=1,
            absent_spans=2,
            surface_is_name=1,
            surface_is_homonym=2,
        )
    }
    assert (counts.layout, counts.notes, counts.skipped) == ("own", (), 0)


def test_records_left_out_are_counted(own):
    counts = count(load(own(ENTITIES, dev=[*MENTIONS, {"id": "5", "answer": "none"}]), skip_bad=True))
    assert (counts.splits["dev"].mentions, counts.skipped) == (4, 1)
