"""The operations of an OpenAPI document, each with a command that calls it: what /docs shows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

__all__ = ["DocumentedOperation", "documented_operations"]

FORM = "application/x-www-form-urlencoded"
TOKEN = '-H "Authorization: Bearer $(cat token)"'


@dataclass(frozen=True)
class DocumentedOperation:
    """A method at an address.

    Args:
        parameters: name, whether it is required, and what is said of it
        curl: a command line for a POSIX shell, where the file `token` holds the service's token
        statuses: with what is said of each
    """

    method: str
    path: str
    tag: str
    summary: str
    description: str
    parameters: tuple[tuple[str, bool, str], ...]
    curl: str
    statuses: tuple[tuple[str, str], ...]


def documented_operations(document: Mapping[str, Any], base: str) -> Iterator[DocumentedOperation]:
    """All operations, in the document's order.

    Args:
        document: OpenAPI 3.1, whose bodies and required parameters have examples
        base: the address of the service, without a slash at its end
    """
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield DocumentedOperation(
                method.upper(),
                path,
                operation.get("tags", ["service"])[0],
                operation["summary"],
                operation.get("description", ""),
                tuple(map(_parameter, operation.get("parameters", ()))),
                _curl(document, base, path, method.upper(), operation),
                tuple((status, response["description"]) for status, response in sorted(operation["responses"].items())),
            )


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, bool, str]:
    schema = parameter["schema"]
    said = parameter.get("description") or schema.get("description", "")
    default = schema.get("default")
    usual = "" if default in (None, "") else f"default: {json.dumps(default)}"
    return parameter["name"], bool(parameter.get("required")), "; ".join(filter(None, (said, usual)))


def _curl(document: Mapping[str, Any], base: str, path: str, method: str, operation: Mapping[str, Any]) -> str:
    body = _body(document, operation)
    identity = body[1].get("id") if body and isinstance(body[1], dict) else None
    examples = {parameter["name"]: _first_example(parameter) for parameter in operation.get("parameters", ())}
    if identity is not None and "identity" in examples:
        examples["identity"] = identity  # PUT wants the same in both places
    for name in [name for name in examples if f"{{{name}}}" in path]:
        path = path.replace(f"{{{name}}}", quote(str(examples.pop(name)), safe=""))
    query = urlencode(dict([(name, value) for name, value in examples.items() if value is not None][:1]))
    words = ["curl", *(["-X", method] if method not in ("GET", "POST") or (method == "POST" and not body) else [])]
    words.append(shlex.quote(f"{base}{path}{'?' if query else ''}{query}"))
    words += [TOKEN] if "401" in operation["responses"] else []
    words += _content(*body) if body else []
    return " ".join(words + (["--output", "picture.jpg"] if _answers_picture(operation) else []))


def _content(media: str, example: Any) -> list[str]:
    if media == FORM:
        return ["--data-urlencode", shlex.quote("{}={}".format(*next(iter(example.items()))))]
    text = example if isinstance(example, str) else json.dumps(example, ensure_ascii=False)
    return ["-H", shlex.quote(f"Content-Type: {media}"), "--data-binary", shlex.quote(text)]


def _body(document: Mapping[str, Any], operation: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The media type of a body and an example of it."""
    if "requestBody" not in operation:
        return None
    media, content = next(iter(operation["requestBody"]["content"].items()))
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    examples = content.get("examples") or schema.get("examples")
    if examples is None:  # of a form, whose fields have some
        fields = schema["properties"].items()
        return media, {name: field["examples"][0] for name, field in fields if "examples" in field}
    example = examples[0] if isinstance(examples, list) else next(iter(examples.values()))["value"]
    return media, example


def _first_example(parameter: Mapping[str, Any]) -> Any:
    """None for what can be left out."""
    examples = parameter["schema"].get("examples")
    return examples[0] if examples else None


def _answers_picture(operation: Mapping[str, Any]) -> bool:
    return "image/jpeg" in operation["responses"].get("200", {}).get("content", {})
