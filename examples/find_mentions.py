"""Find every name of a knowledge base in a text, and link each: python examples/find_mentions.py"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import melder
from countries import write_knowledge_base
from melder.mentions.dictionary import NameFinder

TEXT = "In Papua New Guinea nobody pays with a gold guinea, and in Guinea-Bissau nobody keeps a cavy."

with TemporaryDirectory() as directory:
    linker = melder.load(write_knowledge_base(Path(directory)))
    finder = NameFinder(name for entity in linker.entities for name in entity.names)
    spans = finder.find(TEXT)
    mentions = [
        melder.Mention(id=str(number), text=TEXT, start=start, end=end, surface=TEXT[start:end])
        for number, (start, end) in enumerate(spans)
    ]
    for link in linker.link(mentions, k=1):  # one call for all of them: they are encoded together
        print(f"{link.surface!r} [{link.start}:{link.end}] -> {link.candidates[0].id}")
