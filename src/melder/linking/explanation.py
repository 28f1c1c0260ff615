"""What the units of a matching method matched of a mention and of the best candidates for it.

A unit that aligns says which tokens of an entity are assigned which of a mention. Here tokens become words, and
patches of a picture; marks of tokenizers and class tokens are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Protocol, cast

import torch
from torch import Tensor

from melder.data.items import joined
from melder.encoders.words import Word, words_of
from melder.features import Side
from melder.linking.evidence import AlignedUnit, ExplainedCandidate, Explanation, MatchedPictures, Read
from melder.linking.linker import MatchingLinker
from melder.methods.several_pictures import best_pictures, pictures_in
from melder.protocols import Aligner
from melder.records import Candidate, Item, Link, MelderError, Mention, Picture
from melder.runs.model import Model, answering

__all__ = ["CANDIDATES", "candidate_pictures", "explain", "explainable", "patch_grid", "shows_matches"]

CANDIDATES = 10  # of a link that are explained: 10 to 20 kB each
DECIMALS = 4  # of weights: an even share of 49 patches is 0.0204
EXTRA_TOKENS = 5  # that models put before the patches at most: a class token, a distillation token, four registers

Groups = Sequence[Sequence[int]]  # positions of tokens, a group for each word or patch


class Explaining(Protocol):
    """A linker that says whether it can be asked why."""

    @property
    def explains(self) -> bool: ...


@dataclass(frozen=True)
class _Aligned:
    """A unit's weights [candidates, L_e, L_m], and which candidates and which of their tokens it compares."""

    unit: Aligner
    weights: Tensor
    present: Tensor
    mask: Tensor | None


@dataclass(frozen=True)
class _Matched:
    """What the units matched, by their names: tokens, and of several pictures each candidate's best two."""

    aligned: Mapping[str, _Aligned]
    pictures: Mapping[str, Sequence[MatchedPictures]]


@dataclass(frozen=True)
class _Text:
    """A text that was read, with its words, and how many of its first characters are a name."""

    text: str
    head: int
    words: Sequence[Word] | None


def explain(linker: Explaining, mention: Mention, link: Link, item: Item | None = None) -> Explanation:
    """What was matched in `link`, which `linker` answered for `mention`, with its first `CANDIDATES` candidates.

    `item` is what the encoder reads of the mention, by default with the picture that the mention names. Raises
    MelderError when the linker's method does not compare tokens.
    """
    searched = explainable(linker)
    item = item or searched.items([mention])[0]
    candidates = link.candidates[:CANDIDATES]
    found = searched.source.rows([each.id for each in candidates])
    rows = [found[each.id] for each in candidates]
    matched = _match(searched.model, item, searched.source.side(torch.tensor(rows, dtype=torch.long)))
    texts = _entity_texts(searched, rows)
    told, span = _text(searched.model, item, mention.surface)
    explained = [
        _candidate(each, row, text, told, matched)
        for row, (each, text) in enumerate(zip(candidates, texts, strict=True))
    ]
    grids = [patch_grid(each.weights.shape[2]) for each in matched.aligned.values() if each.unit.modality == "image"]
    seen = searched.seen_as(mention.surface, [candidate.id for candidate in candidates])
    explained = [candidate.model_copy(update={"seen": seen.get(candidate.id)}) for candidate in explained]
    read = _read(told, grids[0] if grids else None, span)
    return Explanation(id=link.id, surface=mention.surface, read=read, candidates=tuple(explained))


def candidate_pictures(linker: Explaining, explanation: Explanation) -> dict[str, list[Picture | None]]:
    """The pictures that were read of each candidate, by its id."""
    searched = explainable(linker)
    found = searched.source.rows([each.id for each in explanation.candidates])
    pictures, base = dict[str, list[Picture | None]](), searched.knowledge_base
    for entity in searched.source.records(list(found.values())):
        count = min(len(entity.images), searched.pictures_read)
        pictures[entity.id] = [base.entity_picture(entity, number) for number in range(count)]
    return pictures


def explainable(linker: Explaining) -> MatchingLinker:
    """The linker, if its method is one that compares; raises MelderError otherwise."""
    if linker.explains:
        return cast(MatchingLinker, linker)
    raise MelderError("links of a method that writes names cannot be explained; take a run of one that compares")


def shows_matches(linker: Explaining) -> bool:
    """Whether an explanation of its links can show words or patches: a unit in use aligns tokens."""
    if not linker.explains:
        return False
    return any(unit.aligns for _, unit in explainable(linker).model.matcher.units_in_use())


def patch_grid(tokens: int) -> tuple[int, int] | None:
    """Rows and columns of the patches among a picture's tokens; None when they are no square behind a few others.

    Every encoder reads square pictures: 50 tokens are a class token and 7 × 7 patches, 49 are 7 × 7 patches.
    """
    side = isqrt(tokens)
    return (side, side) if side and tokens - side * side <= min(side, EXTRA_TOKENS) else None


def _match(model: Model, item: Item, entities: Side) -> _Matched:
    """What the units in use matched, on the CPU."""
    mention, entities = model.mention_side([item]), entities.to(model.device)
    aligned, pictures = dict[str, _Aligned](), dict[str, Sequence[MatchedPictures]]()
    with answering(model.matcher) as matcher:
        for name, unit in matcher.units_in_use():
            sides = mention.part(name), entities.part(name)
            if unit.reads_pictures and any(pictures_in(side) > 1 for side in sides):
                *sides, pairs = best_pictures(unit, *sides)  # type: ignore[assignment]
                pictures[name] = [MatchedPictures(mention=own, entity=other) for own, other in pairs]
            found = _align_unit(cast(Aligner, unit), *sides) if unit.aligns else None
            if found is not None:
                aligned[name] = found
    return _Matched(aligned, pictures)


def _align_unit(unit: Aligner, mention: Side, entities: Side) -> _Aligned | None:
    """What was aligned of a mention, the same with each entity or a row for each; None where the mention, or every
    candidate, lacks what the unit compares."""
    both = mention["present"] & entities["present"]
    if not both.any():
        return None
    mask = entities.get("mask")
    if mention.rows == 1:
        weights = unit.align(mention, entities).weights[0]
    else:
        pairs = [slice(row, row + 1) for row in range(mention.rows)]
        weights = torch.cat([unit.align(mention.take(row), entities.take(row)).weights[0] for row in pairs])
    return _Aligned(unit, weights.float().cpu(), both.cpu(), None if mask is None else mask.cpu())


def _entity_texts(linker: MatchingLinker, rows: Sequence[int]) -> list[_Text]:
    separator, reads = linker.model.encoder.separator, "text" in linker.modalities
    entities = linker.source.records(rows)
    texts = [joined(entity.name, entity.description, separator) if reads else "" for entity in entities]
    items = [Item(text, role="entity") for text in texts]
    return [_text(linker.model, item, entity.name)[0] for item, entity in zip(items, entities, strict=True)]


def _text(model: Model, item: Item, name: str) -> tuple[_Text, tuple[int, int] | None]:
    """What is read of an item's text, prompt and all, and where the mention stands in it."""
    tokens, read = model.encoder.text.tokens, model.encoder.text_read(item)
    named = tokens.prompts.get(item.role or "", "") + name
    head = len(named) if name.strip() and read.text.startswith(named) else 0
    return _Text(read.text, head, words_of(read.text, tokens)), read.span


def _candidate(candidate: Candidate, row: int, text: _Text, told: _Text, matched: _Matched) -> ExplainedCandidate:
    units, grid = dict[str, AlignedUnit](), None
    for name, each in matched.aligned.items():
        groups = _groups(each, text, told) if each.present[row] else None
        if groups is not None:
            units[name] = _shown(each, row, *groups)
            grid = patch_grid(each.weights.shape[1]) if each.unit.modality == "image" else grid
    pictures = {name: pairs[row] for name, pairs in matched.pictures.items()}
    return ExplainedCandidate(**candidate.model_dump(), read=_read(text, grid), aligned=units, pictures=pictures)


def _groups(aligned: _Aligned, text: _Text, told: _Text) -> tuple[Groups, Groups] | None:
    """The tokens of each word or patch of the entity and of the mention; None where there are none that are known."""
    if aligned.unit.modality == "text":
        groups = _word_tokens(text), _word_tokens(told)
    else:
        groups = _patch_tokens(aligned.weights.shape[1]), _patch_tokens(aligned.weights.shape[2])
    return groups if all(groups) else None


def _word_tokens(text: _Text) -> Groups:
    return [word.tokens for word in text.words or ()]


def _patch_tokens(tokens: int) -> Groups:
    rows, columns = patch_grid(tokens) or (0, 0)
    return [[token] for token in range(tokens - rows * columns, tokens)]


def _shown(aligned: _Aligned, row: int, entity: Groups, mention: Groups) -> AlignedUnit:
    weights = aligned.weights[row]
    valid = weights if aligned.mask is None else weights[aligned.mask[row]]
    to_words = _indicator(mention, weights.shape[1])
    averaged = _indicator(entity, weights.shape[0])
    averaged = averaged / averaged.sum(dim=1, keepdim=True)
    return AlignedUnit(
        modality=aligned.unit.modality,
        weights=_rounded(averaged @ weights @ to_words.t()),
        received=_rounded((valid.mean(dim=0) @ to_words.t())[None])[0],
    )


def _indicator(groups: Groups, tokens: int) -> Tensor:
    """[groups, tokens], 1 where a token is of a group."""
    indicator = torch.zeros(len(groups), tokens)
    for row, group in enumerate(groups):
        indicator[row, list(group)] = 1.0
    return indicator


def _rounded(rows: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, DECIMALS) for value in row) for row in rows.tolist())


def _read(text: _Text, grid: tuple[int, int] | None, span: tuple[int, int] | None = None) -> Read:
    words = tuple((word.start, word.end) for word in text.words or ())
    return Read(text=text.text, head=text.head, span=span, words=words, grid=grid)
