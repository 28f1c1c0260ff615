"""From a table to links: python examples/link_from_a_table.py"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import melder
from countries import write_knowledge_base

TEXTS = (
    "The president of Guinea flew home to Conakry.",
    "The goldsmith weighed the old Guinea in his hand and found it light.",
    "Guinea, the rodent, ate all the salad.",
)

with TemporaryDirectory() as directory:
    linker = melder.load(write_knowledge_base(Path(directory)))
    for text in TEXTS:
        link = linker.link(text, mention="Guinea", k=2)
        first, second = link.candidates
        print(f"{text}\n  {first.name} ({first.id}) {first.score:.2f}, then {second.id} {second.score:.2f}")
    # Only entities of some types:
    coin = linker.link(TEXTS[0], mention="Guinea", types=["coin"]).candidates[0]
    print(f"of the coins: {coin.id}")
