"""Label Studio's JSON: a task a text, labelled regions, and the entity's id as the answer of each region.

Offsets are code points, as Label Studio has counted them since 2021; older exports counted UTF-16, which is recognised
by the text of a region. The labelling configuration is in docs/data.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from melder.data.annotations.formats import NIL, AnnotationFormat, Annotations, details, nil_or_id, objects
from melder.io.json_array import parse_array
from melder.records import Mention

__all__ = ["LABEL_STUDIO"]

REGION, ANSWER, TEXT = "mention", "entity", "text"  # the names of its parts in the labelling configuration


def read_tasks(data: bytes, annotations: Annotations) -> None:
    """The regions of all tasks that a person has finished."""
    for number, task in parse_array(data, annotations.name, annotations.problems):
        content = task.get("data") if isinstance(task, dict) else None
        if not isinstance(task, dict) or not isinstance(content, dict) or not isinstance(content.get(TEXT), str):
            annotations.refuse(number, "data.text", "must be a text; export as JSON, not as JSON-MIN or CSV")
            continue
        finished = [one for one in objects(task.get("annotations")) if not one.get("was_cancelled")]
        chosen = [one for one in finished if one.get("ground_truth")] or finished
        results = objects(chosen[-1].get("result")) if chosen else _predicted(task)
        _read_regions(number, content, str(content.get("id", task.get("id", number))), results, annotations)


def write_tasks(mentions: Iterable[Mention]) -> str:
    """A task a mention: answered ones as annotations, others as predictions, whose region waits for an answer."""
    return json.dumps([_task(mention) for mention in mentions], ensure_ascii=False, indent=1) + "\n"


LABEL_STUDIO = AnnotationFormat(read_tasks, write_tasks)


def _predicted(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The regions that a program has marked: mentions that nobody has answered."""
    for prediction in objects(task.get("predictions"))[-1:]:
        yield from (result for result in objects(prediction.get("result")) if result.get("type") == "labels")


def _read_regions(
    number: int,
    content: Mapping[str, Any],
    identity: str,
    results: Iterable[Mapping[str, Any]],
    annotations: Annotations,
) -> None:
    results = [result for result in results if isinstance(result.get("value"), dict)]
    regions = [result for result in results if result.get("type") == "labels"]
    answers = {str(result.get("id")): _answer(result["value"]) for result in results if result.get("type") != "labels"}
    for place, region in enumerate(regions):
        is_answered, answer = nil_or_id(answers.get(str(region.get("id")), ""))
        if not is_answered:
            annotations.unanswered += 1
            continue
        span = _span(content[TEXT], region["value"])
        if span is None:
            annotations.refuse(number, "start", "and end are no span of the task's text, or not that of the region's")
            continue
        name = identity if len(regions) == 1 else f"{identity}-{place}"
        start, end = span
        place_in_text = {"text": content[TEXT], "start": start, "end": end, "surface": content[TEXT][start:end]}
        others = {key: content[key] for key in ("image", "language") if content.get(key)}
        annotations.add(number, {"id": name, "answer": answer, **place_in_text, **others})


def _answer(value: Mapping[str, Any]) -> str:
    """What stands in a text area, or what was chosen; of a taxonomy the last step."""
    for name in ("text", "choices", "taxonomy"):
        given = value.get(name)
        while isinstance(given, list) and given:
            given = given[-1] if name == "taxonomy" else given[0]
        if isinstance(given, str) and name in value:
            return given
    return ""


def _span(text: str, value: Mapping[str, Any]) -> tuple[int, int] | None:
    """Code points: the offsets as they are, or as UTF-16, whichever cover the text of the region."""
    start, end, covered = value.get("start"), value.get("end"), value.get("text")
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    places = [(start, end), *([_of_utf16(text, start, end)] if isinstance(covered, str) else [])]
    whole = [(first, last) for first, last in places if 0 <= first < last <= len(text)]
    same = [span for span in whole if not isinstance(covered, str) or text[slice(*span)] == covered]
    return same[0] if same else None


def _of_utf16(text: str, start: int, end: int) -> tuple[int, int]:
    encoded = text.encode("utf-16-le")
    first, last = (len(encoded[: 2 * max(place, 0)].decode("utf-16-le", errors="ignore")) for place in (start, end))
    return first, last


def _task(mention: Mention) -> dict[str, Any]:
    data = {TEXT: mention.text, **details(mention)}
    place = {"start": mention.start, "end": mention.end}
    region = _result(mention.id, REGION, "labels", {**place, "text": mention.surface, "labels": [REGION]})
    if "answer" not in mention.model_fields_set:
        return {"data": data, "predictions": [{"model_version": "melder", "result": [region]}]}
    answer = _result(mention.id, ANSWER, "textarea", {**place, "text": [mention.answer or NIL]})
    return {"data": data, "annotations": [{"result": [region, answer]}]}


def _result(identity: str, name: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": identity, "from_name": name, "to_name": TEXT, "type": kind, "value": value}
