"""`melder serve` as a process of its own: it starts, is overloaded, and ends in order; and what it says of mistakes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from melder.cli.serve import _token, serve
from melder.records import BadData, MelderError
from melder.runs.configuration_file import checked, override
from melder.serving import ServiceSettings, listen

ASKED = {"text": "A red kite", "mentions": [{"start": 2, "end": 10}], "k": 1}
MELDER = (sys.executable, "-c", "from melder.cli import main; main()")


class Process:
    """A running service; `url` is where it listens."""

    def __init__(self, *arguments: object) -> None:
        command = [*MELDER, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"at (http://127\.0\.0\.1:\d+)$", line.strip())
        assert found, line + self.process.stderr.read()
        self.url = found[1]

    def ask(self, path: str = "/link", body: Any = ASKED) -> tuple[int, Any, Any]:
        """Status, headers and the JSON of an answer."""
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)

    def wait_for(self, measure: str) -> None:
        """Until /metrics says so."""
        until = time.monotonic() + 120
        while True:
            with urllib.request.urlopen(self.url + "/metrics", timeout=120) as answer:
                if measure in answer.read().decode():
                    return
            assert time.monotonic() < until
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def process(small_run: Path, small_data: Path) -> Iterator[Process]:
    """One whose queue is short, and whose batches wait long enough for a test to act meanwhile."""
    limits = ("queue=4", "mentions=4", "queries=4", "wait=2.0")
    running = Process(small_run, "--data", small_data, *[part for each in limits for part in ("--limit", each)])
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def test_a_client_that_leaves_and_one_that_says_nothing_do_no_harm(process: Process) -> None:
    host, port = process.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as silent, socket.create_connection((host, int(port))) as rude:
        body = json.dumps(ASKED).encode()
        rude.sendall(b"POST /link HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        silent.sendall(b"POST /link HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{")
        process.wait_for("melder_queue_mentions 1.0")
        rude.close()
        process.wait_for("melder_dropped_mentions_total 1.0")
        assert process.ask()[0] == 200


def test_a_service_is_overloaded_recovers_and_is_drained(process: Process) -> None:
    assert process.ask("/readyz", None)[0] == 200
    with ThreadPoolExecutor(16) as clients:
        statuses, waits = [], []
        for status, headers, answer in clients.map(lambda _: process.ask(), range(12)):
            statuses.append(status)
            if status == 503:
                waits.append((headers["Retry-After"], answer["error"]))
            else:
                assert answer["links"][0]["candidates"][0]["id"] == "Q0"
        assert sorted(set(statuses)) == [200, 503]
        assert statuses.count(200) >= 4
        assert set(waits) == {("2", "too many mentions are waiting; ask again in a moment")}
        assert process.ask()[0] == 200
        begun = clients.submit(process.ask)
        process.wait_for("melder_queue_mentions 1.0")
        code, errors = process.end()
        assert begun.result()[0] == 200  # what had begun was answered
    assert (code, errors) == (0, "")


def test_what_is_written_to_a_connection_leaves_at_once() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(MelderError) as error:
        listen("127.0.0.1", other.getsockname()[1])
    assert re.fullmatch(r"127\.0\.0\.1 port \d+: Address already in use; choose .* --host, --port", str(error.value))


def test_a_missing_extra_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['fastapi'] = None; from melder.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, "serve", "run"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stderr == "melder: the service needs fastapi: install it with `pip install 'melder[serve]'`\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory); name a file that holds a token"),
        ("short\n", "a token is one word of 16 characters or more; make one with `openssl rand -hex 32`"),
        (
            "two words of a token\n",
            "a token is one word of 16 characters or more; make one with `openssl rand -hex 32`",
        ),
        ("ä" * 20, "holds more than ASCII; make a token with `openssl rand -hex 32`"),
    ],
)
def test_a_token_must_be_worth_something(content: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(MelderError) as error:
        _token(file)
    assert str(error.value) == f"{file}: {sentence}"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("queue=0", "--limit, field 'queue': Input should be greater than 0, not 0"),
        ("queu=5", "--limit, field 'queu': there is no such key; did you mean 'queue'?"),
        ("queue=64", "--limit: mentions and queries may not be above queue"),
    ],
)
def test_limits_that_make_no_sense_are_named(setting: str, sentence: str) -> None:
    with pytest.raises(BadData) as error:
        checked(ServiceSettings, override({}, [setting]), "--limit")
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("token=0123456789abcdef", "--limit token: is no limit; give it with --token-file"),
        ("picture_hosts=[a.example]", "--limit picture_hosts: is no limit; give it with --picture-host"),
        ("entity_uri=http://a.example/", "--limit entity_uri: is no limit; give it with --entity-uri"),
        ("picture_dir=pictures", "--limit picture_dir: is no limit; give it with --picture-dir"),
        ("hosts=[a.example]", "--limit hosts: names come from --host and --public-url"),
    ],
)
def test_what_is_no_limit_has_an_option_of_its_own(limit: str, sentence: str) -> None:
    with pytest.raises(MelderError) as error:
        serve(Path("kb"), None, "127.0.0.1", 0, None, None, "names", [], None, None, [limit], [])
    assert str(error.value) == sentence
