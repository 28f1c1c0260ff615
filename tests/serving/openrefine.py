"""OpenRefine without a window, driven through the commands that its own page sends."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXECUTABLE = shutil.which("openrefine")
ABSENT = "OpenRefine is not installed"
STARTING = 240.0  # seconds: a Java virtual machine on a busy processor
ALL = json.dumps({"facets": [], "mode": "row-based"})


class OpenRefine:
    """A running OpenRefine, and the commands of one of its projects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.project = ""

    def create(self, csv: str) -> None:
        """Make a project of a table."""
        boundary, token = uuid.uuid4().hex, self._token()
        disposition = 'Content-Disposition: form-data; name="project-file"; filename="t.csv"'
        files = f"{disposition}\r\nContent-Type: text/csv\r\n\r\n{csv}"
        name = 'Content-Disposition: form-data; name="project-name"\r\n\r\ntest'
        body = "".join(f"--{boundary}\r\n{part}\r\n" for part in (files, name)) + f"--{boundary}--\r\n"
        query = urllib.parse.urlencode({"csrf_token": token, "format": "text/line-based/*sv"})
        request = urllib.request.Request(
            f"{self.url}/command/core/create-project-from-upload?{query}",
            body.encode(),
            {"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.project = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.url).query)["project"][0]

    def guess_types(self, column: str, service: str) -> list[str]:
        """The types that OpenRefine offers for a column, the most frequent of the first answers first."""
        answer = self.command("guess-types-of-column", columnName=column, service=service)
        assert answer["code"] == "ok", answer
        return [kind["id"] for kind in answer["types"]]

    def reconcile(
        self, column: str, service: str, kind: str | None, manifest: Mapping[str, Any], details: Any = ()
    ) -> None:
        """Reconcile a column with a type, and wait for the end."""
        config = {
            "mode": "standard-service",
            "service": service,
            "identifierSpace": manifest["identifierSpace"],
            "schemaSpace": manifest["schemaSpace"],
            "type": None if kind is None else {"id": kind, "name": kind},
            "autoMatch": True,
            "columnDetails": list(details),
            "limit": 5,
        }
        answer = self.command("reconcile", columnName=column, config=json.dumps(config), engine=ALL)
        assert answer["code"] in ("ok", "pending"), answer
        until = time.monotonic() + 600
        while self.query("get-processes")["processes"]:
            assert time.monotonic() < until
            time.sleep(0.1)

    def judge(self, row: int, cell: int, candidate: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
        """Match a cell with a candidate, as a person does by a click."""
        answer = self.command(
            "recon-judge-one-cell",
            row=row,
            cell=cell,
            judgment="matched",
            id=candidate["id"],
            name=candidate["name"],
            types=",".join(candidate["types"]),
            identifierSpace=manifest["identifierSpace"],
            schemaSpace=manifest["schemaSpace"],
        )
        assert answer["code"] == "ok", answer

    def extend(self, column: str, prop: str, service: str, manifest: Mapping[str, Any]) -> None:
        """A new column beside a reconciled one, with the values of a property."""
        answer = self.command(
            "extend-data",
            baseColumnName=column,
            endpoint=service,
            identifierSpace=manifest["identifierSpace"],
            schemaSpace=manifest["schemaSpace"],
            extension=json.dumps({"properties": [{"id": prop, "name": prop}]}),
            columnInsertIndex=1,
            engine=ALL,
        )
        assert answer["code"] in ("ok", "pending"), answer
        until = time.monotonic() + 600
        while self.query("get-processes")["processes"]:
            assert time.monotonic() < until
            time.sleep(0.1)

    def rows(self, count: int = 100) -> list[list[Any]]:
        """Cells of the first rows; a reconciled cell has `r`, what is known of it."""
        found = self.query("get-rows", start=0, limit=count, engine=ALL)
        pool = found.get("pool", {}).get("recons", {})
        return [[_cell(cell, pool) for cell in row["cells"]] for row in found["rows"]]

    def query(self, name: str, /, **fields: Any) -> Any:
        return self._send(name, fields, None)

    def command(self, name: str, /, **fields: Any) -> Any:
        return self._send(name, {}, fields | {"csrf_token": self._token()})

    def _token(self) -> str:
        with urllib.request.urlopen(f"{self.url}/command/core/get-csrf-token", timeout=60) as answer:
            return str(json.load(answer)["token"])

    def _send(self, name: str, query: Mapping[str, Any], fields: Mapping[str, Any] | None) -> Any:
        address = f"{self.url}/command/core/{name}?{urllib.parse.urlencode({'project': self.project, **query})}"
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(urllib.request.Request(address, data), timeout=120) as answer:
            return json.load(answer)


def _cell(cell: Any, pool: Mapping[str, Any]) -> Any:
    """A cell with what its reconciliation is, which some versions keep apart."""
    if not cell or "r" not in cell or isinstance(cell["r"], dict):
        return cell
    return cell | {"r": pool[str(cell["r"])]}


@contextmanager
def open_refine(directory: Path) -> Iterator[OpenRefine]:
    """OpenRefine on loopback, with its projects in `directory`."""
    assert EXECUTABLE is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-p", str(port), "-i", "127.0.0.1", "-d", str(directory), "-m", "512M", "-x", "refine.headless=true"]
    log = (directory / "log.txt").open("wb")
    process = subprocess.Popen([EXECUTABLE, *options], stdout=log, stderr=log, start_new_session=True)
    try:
        yield _answering(OpenRefine(f"http://127.0.0.1:{port}"), process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the script and its Java virtual machine
        process.wait(60)
        log.close()


def _answering(refine: OpenRefine, process: subprocess.Popen[bytes]) -> OpenRefine:
    until = time.monotonic() + STARTING
    while True:
        try:
            refine._token()
            return refine
        except (OSError, urllib.error.URLError, io.UnsupportedOperation):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.5)
