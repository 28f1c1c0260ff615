"""Words by which programs say that a cell holds nothing: errors of spreadsheets, and NULL in its spellings.

An error is never a text. NULL, nan and None are none as a description, a type or a picture; as a name they may be one
(Null is a family), and stay, but are counted.
"""

from __future__ import annotations

from melder.data.tables.cells import ERROR_NOTE
from melder.data.tables.language_columns import without_language
from melder.data.tables.options import Notes

__all__ = ["present"]

# In English, German, French and Spanish.
ERRORS = frozenset(
    (
        *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#NOM?", "#VALEUR!", "#NOMBRE!"),
        *("#¡REF!", "#¡VALOR!", "#¿NOMBRE?", "#¡DIV/0!", "#¡NUM!"),
    )
)
NULLS = frozenset(("NULL", "Null", "null", "NaN", "nan", "NAN", "None", "<NA>", "N/A", "n/a", "NA", "\\N"))
MAY_BE_EMPTY = frozenset(("description", "types", "images", "image"))
NAMES = frozenset(("name", "aliases"))

EMPTY = "{} [cell says|cells say] NULL, nan or the like, and [counts|count] as empty"
NAMED = "{} [name is|names are] NULL, nan or the like: empty [the cell|the cells] where that is no name"


def present(field: str, text: str, notes: Notes) -> bool:
    """Whether a value of a field says something; what does not is noted.

    Args:
        field: in whichever language
        text: the value, without spaces at its ends
        notes: told of what is left out, and of names that look like it

    Returns:
        whether it stays
    """
    if text in ERRORS:
        notes.add(ERROR_NOTE)
        return False
    if text not in NULLS:
        return True
    if without_language(field) in MAY_BE_EMPTY:
        notes.add(EMPTY)
        return False
    if without_language(field) in NAMES:
        notes.add(NAMED)
    return True
