"""The browser of the tests leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import Browser, needs_chromium, run_probe


def processes(folder: Path) -> list[str]:
    """The command lines in which a folder is named."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended meanwhile
            continue
    return [line for line in lines if str(folder) in line]


@needs_chromium
def test_nothing_of_a_browser_runs_on(tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as browser:
        assert browser.evaluate("1 + 1") == 2
        assert processes(tmp_path)
    assert processes(tmp_path) == []


@needs_chromium
def test_nothing_runs_on_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Browser, "send", lambda self, method, **parameters: 1 / 0)
    with pytest.raises(ZeroDivisionError), Browser(tmp_path / "profile"):
        pass
    assert processes(tmp_path) == []


@needs_chromium
def test_nothing_runs_on_after_a_probe(tmp_path: Path) -> None:
    (tmp_path / "probe.html").write_text('<pre id="said">{"one": 1}</pre>', encoding="utf-8")
    assert run_probe(tmp_path / "probe.html") == {"one": 1}
    assert processes(tmp_path) == []
