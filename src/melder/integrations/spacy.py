"""The spaCy component `melder`: gives the entities that a pipeline has found their ids. Needs `melder[spacy]`.

    nlp.add_pipe("melder", config={"kb": "flags-kb"})

It sets `ent.kb_id_` ("NIL", as spaCy's own linker says, for none of these), keeps the candidates in
`ent._.melder_candidates`, and reads a picture that goes with the text from `doc._.melder_image`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import minibatch

from melder.linking.load import load
from melder.linking.nil_calibration import decide
from melder.protocols import Linker
from melder.records import Candidate, Link, MelderError, Mention

__all__ = ["NIL", "SpacyLinker", "create"]

NIL = "NIL"
DOCUMENTS = 32  # linked together by `nlp.pipe`


class SpacyLinker:
    """Links the entities of documents. `linker` searches, `k` candidates are kept of each entity; from the NIL
    probability `nil_threshold` on an entity is none of them.

    Args:
        linker: What searches.
        k: Candidates of each entity.
        nil_threshold: The NIL probability from which on an entity is none of them; None = never.
    """

    def __init__(self, linker: Linker, k: int = 10, nil_threshold: float | None = None) -> None:
        self.linker, self.k, self.nil_threshold = linker, k, nil_threshold

    def __call__(self, doc: Doc) -> Doc:
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = DOCUMENTS) -> Iterator[Doc]:
        """The documents in order, with what their entities are; those of a batch are linked together."""
        for docs in minibatch(stream, size=batch_size):
            self._annotate(docs)
            yield from docs

    def _annotate(self, docs: Sequence[Doc]) -> None:
        named_spans = [(doc, ent) for doc in docs for ent in doc.ents]
        mentions = [_mention(str(number), doc, ent) for number, (doc, ent) in enumerate(named_spans)]
        pictures = [doc._.melder_image for doc, _ in named_spans]
        items = [self.linker.item(mention, picture) for mention, picture in zip(mentions, pictures, strict=True)]
        links = (link for block in self.linker.answers(mentions, items, self.k) for link in block)
        for (doc, ent), link in zip(named_spans, links, strict=True):
            self._set(doc, ent, link)

    def _set(self, doc: Doc, ent: Span, link: Link) -> None:
        for token in ent:  # a document makes its spans anew from its tokens
            token.ent_kb_id_ = self._answer(link)
        doc[ent.start : ent.end]._.melder_candidates = link.candidates

    def _answer(self, link: Link) -> str:
        if self.nil_threshold is not None:
            return decide(link, self.nil_threshold).answer or NIL
        return link.candidates[0].id if link.candidates else NIL


def _mention(identity: str, doc: Doc, ent: Span) -> Mention:
    """An entity in its sentence, or the sentences that it lies in, where a pipeline knows sentences, since encoders
    read some dozen words only."""
    context = doc[ent[0].sent.start : ent[-1].sent.end] if doc.has_annotation("SENT_START") else doc[:]
    start, end = ent.start_char - context.start_char, ent.end_char - context.start_char
    return Mention(id=identity, text=context.text, start=start, end=end, surface=ent.text)


def create(
    nlp: Language, name: str, kb: str | Path | None, data: str | Path | None, k: int, nil_threshold: float | None
) -> SpacyLinker:
    """What `nlp.add_pipe("melder", config=…)` calls. `kb` is a knowledge base, or a run with its `data`.

    Args:
        nlp: The pipeline that it is added to.
        name: Of the component.
        kb: A knowledge base, or a run.
        data: With a run, the data set that it searches.
        k: Candidates of each entity.
        nil_threshold: The NIL probability from which on an entity is none of them.

    Returns:
        The component.

    Raises:
        MelderError: There is none.
    """
    if kb is None:
        raise MelderError('name a knowledge base: nlp.add_pipe("melder", config={"kb": "flags-kb"})')
    return SpacyLinker(load(kb, data), k, nil_threshold)


def _register() -> None:
    nothing: tuple[Candidate, ...] = ()
    Doc.set_extension("melder_image", default=None, force=True)
    Span.set_extension("melder_candidates", default=nothing, force=True)
    settings = {"kb": None, "data": None, "k": 10, "nil_threshold": None}
    Language.factory("melder", default_config=settings, requires=["doc.ents"], assigns=["token.ent_kb_id"], func=create)


_register()
