"""Python as people write it: mentions and pictures in any form, links as tables, what objects say of themselves."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import melder
from melder.building.build import build
from melder.data.entity_file import EntityFile
from melder.data.mention_inputs import read_mention
from melder.io.atomic import PART
from melder.linking.link_list import LinkList
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention
from rounding import alike

TEXT = "A red kite was seen"


@pytest.fixture(scope="module")
def linker(small_run: Path, small_data: Path) -> Linker:
    return melder.load(small_run, data=small_data)


@pytest.fixture
def base(small_run: Path, small_data: Path, tmp_path: Path) -> Path:
    source = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, counting=lambda title, total: lambda done: None)
    return tmp_path / "kb"


@pytest.fixture
def threads() -> Iterator[int]:
    number = torch.get_num_threads()
    yield number
    torch.set_num_threads(number)


def _first(link: Any) -> str:
    assert isinstance(link, Link)
    return link.candidates[0].id


@pytest.mark.parametrize(
    "value",
    [
        (TEXT, "red kite"),
        {"text": TEXT, "mention": "red kite"},
        {"text": TEXT, "surface": "red kite", "start": 2, "end": 10},
        {"text": TEXT, "start": 2, "end": 10.0, "image": None, "answer": None, "mention": float("nan")},
        Mention(id="a", text=TEXT, start=2, end=10, surface="red kite"),
    ],
)
def test_one_mention_in_any_form(linker: Linker, value: Any) -> None:
    expected = linker.link(TEXT, mention="red kite")
    link = linker(value)  # type: ignore[operator]
    assert (link.surface, link.start, link.candidates) == ("red kite", 2, expected.candidates)


def test_several_in_any_form_with_pictures(linker: Linker, small_data: Path) -> None:
    picture = small_data / "images/0.png"
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    forms = [
        picture,
        str(picture),
        picture.read_bytes(),
        pixels,
        Image.fromarray(pixels),
        io.BytesIO(picture.read_bytes()),
    ]
    links = linker.link([(TEXT, "red kite", form) for form in forms])
    one = linker.link(TEXT, mention="red kite", image=picture)
    assert isinstance(links, LinkList)
    for link in links:
        assert alike(link, one)
    assert [link.id for link in links] == [str(number) for number in range(1, 1 + len(forms))]


def test_the_second_of_two_places_is_meant_by_start(linker: Linker) -> None:
    text = "red kite, red kite"
    assert linker.link(text, mention="red kite").start == 0
    assert linker.link(text, mention="red kite", start=10).start == 10
    assert linker.link(text, start=10, end=18).surface == "red kite"


def test_the_language_of_a_text_is_kept() -> None:
    assert read_mention({"text": TEXT, "language": "de"}).mention.language == "de"


def test_tables_in_and_out(linker: Linker) -> None:
    frame = pd.DataFrame({"text": [TEXT, TEXT], "mention": ["red kite", None], "start": [2, np.nan]})
    table = linker.link(frame, k=3).to_frame(k=2)
    assert list(table.columns[:6]) == ["mention", "surface", "start", "end", "rank", "entity"]
    assert table["rank"].tolist() == [1, 2, 1, 2]
    assert table["surface"].tolist() == ["red kite", "red kite", TEXT, TEXT]
    assert linker.link([]).to_frame().empty


def test_what_links_and_linkers_say_of_themselves(linker: Linker) -> None:
    link = linker.link(TEXT, mention="red kite")
    assert repr(link).startswith("<Link 'red kite': ")
    assert f"({_first(link)})" in repr(link)
    assert "12 entities" in repr(linker)
    assert "compares texts and pictures" in repr(linker)
    links = linker.link([TEXT, "<b>"])
    assert repr(links).startswith("2 links\n  <Link")
    shown = links._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "data:image/jpeg;base64," in shown
    assert link.surface in link._repr_html_()


def test_melder_shows_what_it_offers() -> None:
    assert {"load", "Linker", "client"} <= set(dir(melder))
    assert "Any" not in dir(melder)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (None, {}, "cannot be of the type NoneType"),
        (5, {}, "cannot be of the type int"),
        (b"Guinea", {}, "cannot be of the type bytes"),
        ([None], {}, "mention 1: .*NoneType"),
        ([TEXT, ("a", "b")], {}, "mention 2: .*does not occur"),
        ({"text": TEXT, "surfaces": "a"}, {}, "no field 'surfaces'"),
        ({"mention": "a"}, {}, "text must be a string"),
        ({"text": TEXT, "start": True}, {}, "start must be a whole number"),
        ({"text": TEXT, "start": "two"}, {}, "start must be a whole number, not 'two'"),
        ({"text": TEXT, "end": []}, {}, r"end must be a whole number, not \[\]"),
        ({"text": TEXT, "end": float("inf")}, {}, "end must be a whole number, not inf"),
        ({"text": TEXT, "language": "??"}, {}, "language '\\?\\?' is no tag of a language"),
        ({"text": TEXT, "language": 4}, {}, "language must be a text in quotes, not 4"),
        ({"text": TEXT, "answer": 5}, {}, "answer must be"),
        (TEXT, {"start": 2, "end": 99}, "outside the text of 19 characters"),
        (TEXT, {"start": 2, "mention": "kite"}, "there stands 'red ', not the mention 'kite'"),
        ([TEXT], {"image": "a.png"}, "image=… goes with one text"),
        (TEXT, {"image": "nope.png"}, "nope.png: there is no such file"),
        (TEXT, {"k": 0}, "k is 0"),
        (TEXT, {"k": 1.5}, "k is 1.5"),
        ("", {}, "the mention is empty"),
    ],
)
def test_nonsense_is_refused_in_one_line(linker: Linker, values: Any, options: Any, message: str) -> None:
    with pytest.raises(MelderError, match=message) as raised:
        linker.link(values, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "device 'abacus': is not to be had here"),
        ({"device": "cuda:99"}, "device 'cuda:99': is not to be had here"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_devices_and_threads_that_there_are_not(small_run: Path, small_data: Path, options: Any, message: str) -> None:
    with pytest.raises(MelderError, match=message):
        melder.load(small_run, data=small_data, **options)


def test_paths_that_are_none() -> None:
    with pytest.raises(MelderError, match="path is 5; name the directory"):
        melder.load(5)  # type: ignore[arg-type]


def test_device_threads_and_progress(
    small_run: Path, small_data: Path, threads: int, capsys: pytest.CaptureFixture[str]
) -> None:
    linker = melder.load(small_run, data=small_data, device="cpu", threads=1, show_progress=True)
    assert torch.get_num_threads() == 1
    assert linker.link([TEXT], show_progress=True)[0].candidates
    assert capsys.readouterr().out == ""


def test_a_picture_that_is_not_compared_is_not_passed_over_in_silence(
    linker: Linker, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linker, "modalities", frozenset({"text"}))
    with pytest.warns(UserWarning, match="compares texts only"):
        linker.link(TEXT, image=small_data / "images/0.png")


def test_linkers_by_name(base: Path) -> None:
    linker = melder.Linker.from_pretrained(base)
    assert isinstance(linker, melder.Linker)
    assert linker.link(TEXT, mention="red kite").candidates


def test_a_hub_gets_the_directory_without_locks(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is a directory here: what would be sent is copied, and what is fetched is read from there."""
    import huggingface_hub

    hub = tmp_path / "hub"

    class Sent:
        commit_url = "https://example.org/commit/1"

    def send(self: object, *, repo_id: str, folder_path: Path, ignore_patterns: list[str], **_: object) -> Sent:
        shutil.copytree(folder_path, hub / repo_id, ignore=shutil.ignore_patterns(*ignore_patterns))
        return Sent()

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", send)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, revision, **_: str(hub / name))
    half = [base / f"half{PART}", base / f"parts{PART}" / "records.jsonl"]
    half[1].parent.mkdir()
    for file in half:
        file.write_text("not whole")
    linker = melder.load(base)
    assert linker.push_to_hub("somebody/birds") == Sent.commit_url
    assert not (hub / "somebody/birds/lock").exists()
    assert not [path for path in (hub / "somebody/birds").rglob("*") if path.is_file() and PART in str(path)]
    fetched = melder.Linker.from_pretrained("somebody/birds")
    assert fetched.link(TEXT).candidates == linker.link(TEXT).candidates


def test_data_sets_are_not_pushed(linker: Linker) -> None:
    with pytest.raises(MelderError, match="is a data set; make a knowledge base"):
        linker.push_to_hub("somebody/birds")  # type: ignore[attr-defined]


def test_names_that_no_hub_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MelderError, match="write USER/NAME, or name a directory"):
        melder.Linker.from_pretrained("no/such/place")
