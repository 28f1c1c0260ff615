"""What people correct is learned at once, without training: python examples/learn_from_use.py"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import melder
from countries import write_knowledge_base

TEXT = "The Syli lost on penalties."  # a nickname that no name and no description holds
LESSONS = (
    ("The Syli beat Senegal in the final.", "GN"),
    ("Fans waited all night for the Syli at the airport.", "GN"),
)

with TemporaryDirectory() as directory:
    linker = melder.load(write_knowledge_base(Path(directory)))
    before = linker.link(TEXT, mention="Syli", k=1).candidates[0]
    for text, answer in LESSONS:
        linker.learn(text, answer, mention="Syli")
    after = linker.link(TEXT, mention="Syli", k=1).candidates[0]
    words = linker.seen_as("Syli", [after.id])[after.id]
    print(f"before {before.id}, after {after.id}: {words}")
