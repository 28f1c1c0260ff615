"""A headless Chromium that is driven through a pipe (the DevTools protocol), so that a test needs no driver.

Each has a profile and a session of its own, and asks nobody on the network; at the end the whole session is ended.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from html import unescape
from pathlib import Path
from typing import Any

import pytest

__all__ = ["CTRL", "PATIENCE", "SHIFT", "Browser", "needs_chromium", "run_probe"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; Debian: apt-get install chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # root, as in CI, is refused one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 50  # seconds: a machine may be busy
KEYS = {"Enter": 13, "Tab": 9, "Home": 36, "End": 35, "ArrowRight": 39}
SHIFT, CTRL = 8, 2


def _code(key: str) -> int:
    """What systems number a key by; letters and digits by the capital's code."""
    return KEYS[key] if key in KEYS else ord(key.upper())


@contextmanager
def _started(folder: Path, options: list[str], **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Chromium with the profile `folder`; afterwards nothing that it has started runs on.

    Descriptors 3 and 4, which it is driven through, are those that the settings pass.
    """
    assert CHROMIUM is not None
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", *options]
    passed = "".join(f" {number}<&{own}" for number, own in enumerate(settings.get("pass_fds", ()), 3))
    whole = ["bash", "-c", f'exec "$0" "$@"{passed}', *command]
    process = subprocess.Popen(whole, text=True, start_new_session=True, **settings)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        _wait_for_group(process.pid)


def _runs_in_group(stat: Path, group: int) -> bool:
    """Whether the process of a `/proc/<id>/stat` is one of the group that has not ended."""
    try:
        state, _, of_process = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except (OSError, ValueError):  # it has ended meanwhile
        return False
    return int(of_process) == group and state not in "ZX"


def _wait_for_group(group: int) -> None:
    """A signal is on its way only: wait until the last process of a group has ended, as its first may end before."""
    end = time.monotonic() + PATIENCE
    while any(_runs_in_group(stat, group) for stat in Path("/proc").glob("[0-9]*/stat")):
        assert time.monotonic() < end, f"processes of the group {group} run on after SIGKILL"
        time.sleep(0.01)


def run_probe(probe: Path) -> dict[str, Any]:
    """Open a page that leaves JSON in an element with the id `said`; gives that."""
    options = ["--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri()]
    pipe = subprocess.PIPE
    with _started(probe.parent / "profile", options, stdout=pipe, stderr=pipe) as process:
        page, errors = process.communicate(timeout=120)
    found = re.search(r'<pre id="said">(.*?)</pre>', page, flags=re.DOTALL)
    assert found, errors
    return dict(json.loads(unescape(found[1])))


class Browser:
    """One page; use it in a `with` block. `log` holds what the page's console and its policy complained about."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers, self._buffer, self._session = itertools.count(1), b"", ""
        self.log: list[dict[str, Any]] = []
        self._ending = ExitStack()

    def __enter__(self) -> Browser:
        with ExitStack() as ending:  # of what is begun, when something goes wrong here
            self._start(ending)
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def _start(self, ending: ExitStack) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        ending.callback(os.close, self._read)
        ending.callback(os.close, self._write)
        options, nowhere = ["--remote-debugging-pipe", "about:blank"], subprocess.DEVNULL
        try:
            started = _started(self._folder, options, pass_fds=(to_read, to_write), stdout=nowhere, stderr=nowhere)
            ending.enter_context(started)
        finally:
            os.close(to_read)
            os.close(to_write)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.log.append(answer["params"])

    def open(self, address: str) -> None:
        self.send("Page.navigate", url=address)
        self.until(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is so."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never: {expression}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def press(self, key: str, times: int = 1, modifiers: int = 0) -> None:
        event: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _code(key), "modifiers": modifiers}
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        for _ in range(times):
            self.send("Input.dispatchKeyEvent", type="keyDown", **event, **text)
            self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def look(self, path: Path, width: int, dark: bool = False) -> None:
        """A picture of the whole page at a width, to be looked at."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        taken = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], PATIENCE)
            assert ready, "the browser is silent"
            self._buffer += os.read(self._read, 1 << 20)
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
