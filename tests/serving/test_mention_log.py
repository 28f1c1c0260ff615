"""The log of mentions: what is kept, for whom, and that linking never fails for it."""

from __future__ import annotations

import json
import stat
from io import FileIO
from pathlib import Path

import pytest

from melder.data.own import read_lines
from melder.io.problems import Problems
from melder.records import MelderError, Mention
from melder.serving import mention_log
from melder.serving.mention_log import MentionLog
from serving.conftest import Start

TOKEN = "0123456789abcdef-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MENTION = Mention(id="0", text="🏏 Guinea won", start=2, end=8, surface="Guinea")


def test_each_mention_is_kept_once_as_a_record_without_its_picture(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    client = start(log=file, token=TOKEN)
    asked = {"text": MENTION.text, "mentions": [{"start": 2, "end": 8}]}
    client.post("/link", json=asked)
    client.post("/link/batch", json={"requests": [asked, {"text": "Mercury"}]})
    client.post("/explain", json=asked | {"text": "Guinea lost it", "mentions": [{"start": 0, "end": 6}]})
    mentions = [mention for _, mention in read_lines(file, Mention, Problems())]
    assert [(mention.text, mention.surface) for mention in mentions] == [(MENTION.text, "Guinea"), ("Mercury",) * 2]
    assert len({mention.id for mention in mentions}) == 2
    assert [set(json.loads(line)) for line in file.read_text().splitlines()] == [
        {"id", "text", "start", "end", "surface"}
    ] * 2
    answer = client.get("/log", headers=BEARER)
    assert answer.content == file.read_bytes()
    assert client.get("/log?limit=1", headers=BEARER).json()["text"] == "Mercury"


def test_what_is_added_while_the_newest_are_read_is_left_out(tmp_path: Path) -> None:
    mentions = MentionLog(tmp_path / "log", 1_000)
    mentions.add([MENTION, MENTION.model_copy(update={"text": "🏏 Guinea lost"})])
    whole = (tmp_path / "log").read_bytes()
    with (tmp_path / "log").open("rb") as file:
        assert b"".join(mention_log._lines_until(file, len(whole) - 1)) == whole.splitlines(keepends=True)[0]
    assert mentions.newest(9) == whole
    assert mentions.newest(1) == whole.splitlines(keepends=True)[1]


def test_only_who_has_the_token_reads_it(start: Start, tmp_path: Path) -> None:
    assert start(log=tmp_path / "log", token=TOKEN).get("/log").status_code == 401
    assert start(log=tmp_path / "log").get("/log", headers=BEARER).status_code == 403
    assert start(token=TOKEN).get("/log", headers=BEARER).status_code == 404
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_log_goes_on_after_a_restart_also_behind_half_a_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    MentionLog(file, 1_000).add([MENTION])
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"text": "ha')
    again = MentionLog(file, 1_000)
    again.add([MENTION, MENTION.model_copy(update={"id": "7"}), MENTION.model_copy(update={"text": "🏏 Guinea lost"})])
    lines = file.read_bytes().splitlines(keepends=True)
    assert lines[:2] == [whole, b'{"text": "ha\n']
    assert json.loads(lines[2])["text"] == "🏏 Guinea lost"
    assert len(lines) == 3


def test_a_full_log_and_a_full_disk_stop_no_link(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(log=tmp_path / "log", log_bytes=200)
    for number in range(5):
        assert client.post("/link", json={"text": f"Guinea {number}"}).status_code == 200
    assert (tmp_path / "log").stat().st_size <= 200
    assert [record.message.split(": ", 1)[1][:4] for record in caplog.records] == ["has "]
    other = start(log=tmp_path / "other")
    monkeypatch.setattr(MentionLog, "_opened", lambda log: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert other.post("/link", json={"text": "Guinea"}).status_code == 200
    assert "No space left" in caplog.records[-1].message


@pytest.mark.parametrize(
    "content", [b'{"id": "Q1", "name": "Guinea"}\n', b"id,text\n1,a\n", b"\x89PNG\r\n\x1a\n", b"\n", b"notes", b"[]"]
)
def test_a_file_that_holds_something_else_is_left_alone(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "entities.jsonl"
    file.write_bytes(content)
    with pytest.raises(MelderError, match="holds something else than mentions; name a new file with --log"):
        MentionLog(file, 1000)
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": "a1'])
def test_a_log_whose_first_line_was_begun_goes_on(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(content)
    MentionLog(file, 1000)
    assert file.read_bytes() == content + (b"\n" if content else b"")


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"no/log: cannot be written \(No such file or directory\); choose another"):
        MentionLog(tmp_path / "no" / "log", 1_000)


def test_a_disk_with_room_for_half_a_line_gets_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log"
    log = MentionLog(file, 1_000)
    log.add([MENTION])
    whole = file.read_bytes()

    class SmallDisk(FileIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            return super().write(content[:9])

    with monkeypatch.context() as patched:
        patched.setattr(mention_log, "FileIO", SmallDisk)
        log.add([MENTION.model_copy(update={"text": "🏏 Guinea lost"})])
    assert file.read_bytes() == whole
    log.add([MENTION.model_copy(update={"text": "🏏 Guinea lost"})])
    assert file.read_bytes().startswith(whole)
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == ["🏏 Guinea won", "🏏 Guinea lost"]
