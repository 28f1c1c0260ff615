"""A PostgreSQL of one's own for a test session, of the package `pgserver`, whose programs are started here.

They refuse to run as root, and then run as nobody. The package itself is not imported: it makes users and warns.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["postgres"]

WAIT = 30.0  # seconds until a server that does not answer never will


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The connection string of a server that ends with the session."""
    pytest.importorskip("psycopg")
    found = importlib.util.find_spec("pgserver")
    if found is None:
        pytest.skip("the development dependency pgserver is not installed")
    programs = Path(next(iter(found.submodule_search_locations or ()))) / "pginstall" / "bin"
    with running(programs) as dsn:
        yield dsn


@contextmanager
def running(programs: Path) -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))  # of which a socket's path must be short
    options: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody")
        options["user"] = "nobody"
    try:
        made = ["-D", directory, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"]
        subprocess.run([programs / "initdb", *made], check=True, **options)
        server = subprocess.Popen([programs / "postgres", "-D", directory, "-h", "", "-k", directory, "-F"], **options)
        try:
            yield answering(f"host={directory} user=postgres dbname=postgres")
        finally:
            server.send_signal(signal.SIGINT)  # SIGTERM would wait for whoever is connected
            server.wait(WAIT)
    finally:
        shutil.rmtree(directory)


def answering(dsn: str) -> str:
    """The connection string, as soon as the server answers."""
    import psycopg

    started = time.monotonic()
    while True:
        try:
            psycopg.connect(dsn).close()
            return dsn
        except psycopg.OperationalError:
            if time.monotonic() - started > WAIT:
                raise
            time.sleep(0.05)
