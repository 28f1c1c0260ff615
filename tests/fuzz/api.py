"""The service against its own description, entities changed too: `pip install 'melder[fuzz]'`, then

    PYTHONPATH=tests python tests/fuzz/api.py --seconds 300         # a part of `make fuzz`

Schemathesis makes requests from /openapi.json, good and bad ones, alone and one after the other, and compares what
comes back with what is described. The knowledge base is a copy of a stored one.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORED = Path(__file__).parents[1] / "data" / "versions"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
TOKEN = "fuzzing-needs-no-secret"
# An id may be anything: what is there and what is not is not described.
LEFT_OUT = "positive_data_acceptance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300)
    options = parser.parse_args()
    newest = max(STORED.glob("*.tar.xz"), key=lambda path: int(path.name.partition(".")[0]))
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(newest) as archive:
            archive.extractall(folder, filter="data")
        with served(Path(folder) / "kb", Path(folder)) as url:
            sys.exit(subprocess.run(command(url, options.seconds), check=False).returncode)


def command(url: str, seconds: int) -> list[str]:
    words = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(CONFIGURATION),
        "run",
        f"{url}/openapi.json",
    ]
    words += ["--max-time", str(seconds), "--phases", "examples,coverage,fuzzing,stateful"]
    words += ["--exclude-checks", LEFT_OUT, "--header", f"Authorization: Bearer {TOKEN}"]
    return [*words, "--continue-on-failure", "--generation-database", "none"]


@contextmanager
def served(knowledge_base: Path, folder: Path) -> Iterator[str]:
    (folder / "token").write_text(TOKEN)
    words = ["serve", str(knowledge_base), "--port", "0", "--token-file", str(folder / "token")]
    process = subprocess.Popen([sys.executable, "-m", "melder", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        address = re.search(r"at (http://\S+)$", line.strip())
        assert address, line
        yield address[1]
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
