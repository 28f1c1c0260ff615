"""What kind of errors a run makes: the shares of docs/results.md.

    melder evaluate RUN --data DATA --split dev --predictions PREDICTIONS
    python benchmarks/error_book.py PREDICTIONS … --data DATA [--split dev] [--text-field attr] [--errors 200] [--list]

Of the mentions whose first candidate is wrong, a sample is drawn with the seed (all, where there are fewer). The first
rule that holds says what kind an error is; names are compared as `melder.names.folded` has them:

* twins: both entities have the same name and description, so that the knowledge base itself cannot tell them apart
* namesake, could: both the right and the wrong entity bear the surface as a name, and a word of the text beside the
  surface (four letters or more) is in the right one's description and not in the wrong one's
* namesake, cannot: both bear it, and the text has no such word
* overruled: the right entity bears the surface as a name, the wrong one does not
* part, could: the surface is some of the words of a name of the right entity and none of its whole names, the wrong one
  has it in a name too, and a word of the text tells them apart as above
* part, cannot: the same without such a word ("Cruz", of Ted and of Brandon Cruz)
* partial: the surface is some of the words of a name of the right entity, and the wrong one has it in none
* alike: a name of the right entity shares a word (of three letters or more) with the surface, but is written otherwise
* doubtful: no name of the right entity has anything to do with the surface, which is the wrong one's name: the gold is
  wrong, or a name is missing in the knowledge base
* hidden: no name of the right entity has anything to do with the surface

`--list` prints the errors too, to be read. `picture` is the share of errors whose mention has a picture, which may say
what the text does not. `without guessing` is what one could get who is given the mention and the knowledge base and
does not guess: H@1, and all errors but twins, doubtful ones, and those that neither a word of the text nor a picture
tells. Who guesses well, knows which films a person was in, or sees that a singer performs, gets further: no bound.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mention_samples import drawn

from melder.data import DataSet, load
from melder.evaluation.predictions import Prediction, read_predictions
from melder.names import folded
from melder.records import Entity, Mention

TOLD = ("namesake, could", "part, could")
UNTOLD = ("namesake, cannot", "part, cannot")
BEYOND = ("twins", "doubtful")  # which no reader could tell
KINDS = ("twins", *sum(zip(TOLD, UNTOLD, strict=True), ()), "overruled", "partial", "alike", "doubtful", "hidden")
WORD = re.compile(r"\w+")
LEAST, TELLING = 3, 4  # letters of a word that names share, and of one that tells entities apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--text-field", default="desc")
    parser.add_argument("--errors", type=int, default=200)
    parser.add_argument("--seed", type=int, default=43)
    parser.add_argument("--list", action="store_true", dest="lists")
    options = parser.parse_args()
    dataset = load(options.data, text_field=options.text_field)
    entities = {entity.id: entity for entity in dataset.entities}
    mentions = {mention.id: mention for mention in dataset.split(options.split)}
    headings = ["predictions", "wrong", "looked at", *KINDS, "picture", "without guessing"]
    print(f"| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    for path in options.predictions:
        rows = read_predictions(path)
        wrong = [row for row in rows if is_wrong(row)]
        sample = drawn(wrong, options.errors, options.seed)
        kinds = {row.id: kind(mentions[row.id], row, entities) for row in sample}
        pictured = {row.id for row in sample if _has_picture(mentions[row.id], dataset)}
        counts = Counter(kinds.values())
        every = (*(counts[name] for name in KINDS), len(pictured))
        shares = [f"{100 * count / max(1, len(sample)):.0f} %" for count in every]
        lost = len(wrong) / max(1, sum(row.gold is not None for row in rows))
        beyond = sum(out_of_reach(kinds[row.id], pictured=row.id in pictured) for row in sample) / max(1, len(sample))
        print(
            f"| {path.stem} | {len(wrong)} | {len(sample)} | {' | '.join(shares)} | {100 * (1 - lost * beyond):.1f} |"
        )
        for row in sample if options.lists else ():
            names = " → ".join(entities[identity].name for identity in (str(row.gold), row.candidates[0].id))
            print(f"  {kinds[row.id]}: {mentions[row.id].surface!r} in {mentions[row.id].text!r}: {names}")


def is_wrong(row: Prediction) -> bool:
    """Whether there is an answer, and the first candidate is another entity."""
    return row.gold is not None and bool(row.candidates) and row.candidates[0].id != row.gold


def kind(mention: Mention, row: Prediction, entities: Mapping[str, Entity]) -> str:
    """What kind an error is, by the first rule that holds."""
    right, other = entities[str(row.gold)], entities[row.candidates[0].id]
    if (folded(right.name), right.description) == (folded(other.name), other.description):
        return "twins"
    surface = folded(mention.surface)
    names, others = ([folded(name) for name in entity.names] for entity in (right, other))
    if surface in names:
        return f"namesake, {_tells(mention, right, other)}" if surface in others else "overruled"
    if _part_of(surface, names):
        shared = surface in others or _part_of(surface, others)
        return f"part, {_tells(mention, right, other)}" if shared else "partial"
    if _words(surface, LEAST) & {word for name in names for word in _words(name, LEAST)}:
        return "alike"
    return "doubtful" if surface in others else "hidden"


def _tells(mention: Mention, right: Entity, other: Entity) -> str:
    """Whether a word of the text is in the right entity's description and not in the other's."""
    context = _words(folded(mention.text), TELLING) - _words(folded(mention.surface), 1)
    telling = _words(folded(right.description), TELLING) - _words(folded(other.description), TELLING)
    return "could" if context & telling else "cannot"


def _part_of(surface: str, names: Sequence[str]) -> bool:
    words = _words(surface, 1)
    return bool(words) and any(words < _words(name, 1) for name in names)


def out_of_reach(error: str, *, pictured: bool) -> bool:
    """Whether a reader who is given the mention alone could not tell the answer, by the kind of the error."""
    return error in BEYOND or (error in UNTOLD and not pictured)


def _has_picture(mention: Mention, dataset: DataSet) -> bool:
    """Whether its file is there, which a data set may name without having it."""
    return mention.image is not None and dataset.mention_image(mention.image).is_file()


def _words(text: str, least: int) -> set[str]:
    return {word for word in WORD.findall(text) if len(word) >= least}


if __name__ == "__main__":
    main()
