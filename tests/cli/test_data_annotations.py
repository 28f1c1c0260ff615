"""`melder data annotations`: from a file of mentions to a tool and back, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Melder

LINE = {"id": "a", "text": "Guinea won", "start": 0, "end": 6, "surface": "Guinea"}


def test_tasks_are_answered_and_become_a_split(melder: Melder, tmp_path: Path) -> None:
    mentions, tasks, train = (tmp_path / name for name in ("mentions.jsonl", "tasks.json", "train.jsonl"))
    mentions.write_text(f"{json.dumps(LINE)}\n{json.dumps(LINE | {'id': 'b', 'answer': None})}\n")
    assert melder("data", "annotations", mentions, tasks, "--to", "label-studio").status == 0
    said = melder("data", "annotations", tasks, train, "--from", "label-studio")
    assert (said.status, said.errors) == (0, f"1 mention written to {train}; 1 mention without an answer left out\n")
    assert json.loads(train.read_text()) == LINE | {"id": "b", "image": None, "answer": None}


def test_mistakes_are_one_line_and_nothing_is_written(melder: Melder, tmp_path: Path) -> None:
    mentions, out = tmp_path / "mentions.jsonl", tmp_path / "out"
    mentions.write_text(f"{json.dumps(LINE)}\n{json.dumps({'id': 'z', 'surface': 'Mali', 'text': 'x'})}\n")
    assert melder("data", "annotations", mentions, out, "--to", "brat").error.startswith("brat: is no format of")
    said = melder("data", "annotations", mentions, out, "--to", "prodigy").error
    assert "field 'start'" in said
    assert "mention 'z'" in said
    assert not out.exists()
    assert melder("data", "annotations", mentions, out, "--to", "prodigy", "--skip-bad").status == 3
    assert len(out.read_text().splitlines()) == 1
    assert "has no mention with an answer" in melder("data", "annotations", out, mentions, "--from", "prodigy").error
