"""Prodigy's JSON Lines: a task a line, its span, and the chosen option, whose id is that of the entity.

This is what a recipe with the interface `choice` stores, spaCy's for entity linking among them. Where a task has
several spans, each has its entity as `kb_id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from melder.data.annotations.formats import NIL, AnnotationFormat, Annotations, details, json_lines, nil_or_id
from melder.records import Mention

__all__ = ["PRODIGY"]


def read_tasks(data: bytes, annotations: Annotations) -> None:
    """The spans of tasks that were accepted."""
    for number, task in json_lines(data, annotations):
        text, spans = task.get("text"), task.get("spans")
        if not isinstance(text, str) or not isinstance(spans, list) or not all(isinstance(one, dict) for one in spans):
            annotations.refuse(number, "spans", "and 'text' must be a list of spans and their text")
            continue
        for place, span in enumerate(spans):
            is_answered, answer = nil_or_id(_answer(task, span, alone=len(spans) == 1))
            if not is_answered:
                annotations.unanswered += 1
                continue
            _read_span(number, task, span, "" if len(spans) == 1 else f"-{place}", answer, annotations)


def write_tasks(mentions: Iterable[Mention]) -> str:
    """A task a mention; those with an answer have it as their one option, accepted."""
    return "".join(f"{json.dumps(_task(mention), ensure_ascii=False)}\n" for mention in mentions)


PRODIGY = AnnotationFormat(read_tasks, write_tasks)


def _answer(task: Mapping[str, Any], span: Mapping[str, Any], *, alone: bool) -> str:
    """Empty where a person has passed over the task, or chosen nothing."""
    if task.get("answer") != "accept":
        return ""
    chosen = task.get("accept")
    answer = chosen[0] if alone and isinstance(chosen, list) and len(chosen) == 1 else span.get("kb_id")
    return "" if answer is None else str(answer)


def _read_span(
    number: int,
    task: Mapping[str, Any],
    span: Mapping[str, Any],
    suffix: str,
    answer: str | None,
    annotations: Annotations,
) -> None:
    start, end, text = span.get("start"), span.get("end"), task["text"]
    meta = task["meta"] if isinstance(task.get("meta"), dict) else {}
    others = {key: meta[key] for key in ("image", "language") if meta.get(key)}
    whole = isinstance(start, int) and isinstance(end, int)
    fields = {"text": text, "start": start, "end": end, "surface": text[start:end] if whole else ""}
    identity = f"{meta.get('id', number)}{suffix}"
    annotations.add(number, {"id": identity, "answer": answer, **fields, **others})


def _task(mention: Mention) -> dict[str, Any]:
    spans = [{"start": mention.start, "end": mention.end, "label": "MENTION", "text": mention.surface}]
    task = {"text": mention.text, "spans": spans, "meta": details(mention)}
    if "answer" not in mention.model_fields_set:
        return task
    answer = mention.answer or NIL
    return task | {"options": [{"id": answer, "text": answer}], "accept": [answer], "answer": "accept"}
