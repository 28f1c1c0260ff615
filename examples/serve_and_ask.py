"""Serve a knowledge base and ask it over HTTP, as any program could: python examples/serve_and_ask.py

On a command line the service is `melder serve KB`. It needs `pip install 'melder[serve]'`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from countries import write_knowledge_base


def post(address: str, content: object) -> dict:
    """The JSON that a POST of JSON is answered with."""
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(address, json.dumps(content).encode(), headers), timeout=60) as answer:
        return json.load(answer)


with TemporaryDirectory() as directory:
    command = [sys.executable, "-m", "melder", "serve", str(write_knowledge_base(Path(directory))), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        try:
            line = next(line for line in service.stderr if "http://" in line)  # "Serving … at http://…"
            address = re.search(r"http://[\w.:]+", line)[0]
            answer = post(f"{address}/link", {"text": "A gold Guinea", "mentions": [{"start": 7, "end": 13}], "k": 1})
            print(json.dumps(answer, indent=1))
        finally:
            service.terminate()
