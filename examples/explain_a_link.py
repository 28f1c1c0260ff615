"""What each unit added to a score, and all that is known of why, as JSON: python examples/explain_a_link.py why.json

As a page with the words marked: melder link KB --text … --mention … --explain why.html
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import melder
from countries import write_knowledge_base
from melder.data.mention_inputs import to_mention
from melder.linking import explain

with TemporaryDirectory() as directory:
    linker = melder.load(write_knowledge_base(Path(directory)))
    mention = to_mention("The president of Guinea flew home to Conakry.", "Guinea")
    link = linker.link([mention])[0]
    for candidate in link.candidates[:3]:
        evidence = ", ".join(f"{unit} {value:.2f}" for unit, value in candidate.units.items())
        print(f"{candidate.name}: {candidate.score:.2f} = {evidence}")
    explanation = explain(linker, mention, link)
    print(f"{len(explanation.candidates)} candidates explained")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(explanation.model_dump_json(indent=1), encoding="utf-8")
