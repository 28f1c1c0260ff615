"""Configuration files: YAML, `key=value` overrides, and errors that name the key and the nearest real one."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from melder.methods import METHODS
from melder.names import nearest
from melder.records import BadData, BadRecord, MelderError

__all__ = ["checked", "override", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Args:
        path: Of the file.

    Returns:
        By key.

    Raises:
        MelderError: It cannot be read, or holds something else.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MelderError(f"{path}: cannot be read ({error.strerror}); name a configuration file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, the 99th of a month
        raise MelderError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(value, dict):
        raise MelderError(f"{path}: is no mapping of keys to values; see the files in experiments/")
    return value


def override(sections: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """The same configuration with `key=value` assignments carried out; keys are dotted, values are YAML.

    Args:
        sections: What a file holds; it is not changed.
        assignments: In their order.

    Returns:
        Not checked yet.

    Raises:
        MelderError: One is no assignment, or its key leads into what is no section.
    """
    changed = {name: dict(value) if isinstance(value, dict) else value for name, value in sections.items()}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key:
            raise MelderError(f"{assignment!r}: is no assignment; write key=value, such as training.epochs=3")
        *parents, last = key.split(".")
        section: Any = changed
        for parent in parents:
            inner = section.get(parent) or {}
            if not isinstance(inner, dict):
                raise MelderError(f"{assignment!r}: {parent!r} is the value {inner!r} and has no keys below it")
            section[parent] = section = dict(inner)
        section[last] = _parsed(value, assignment)
    return changed


def _parsed(value: str, assignment: str) -> Any:
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise MelderError(f"{assignment!r}: what follows = is not valid YAML; put texts into quotes") from None


def checked(kind: type[Model], value: Mapping[str, Any], file: str) -> Model:
    """A configuration of some kind; every fault is named with its key and the file.

    Args:
        kind: Its class.
        value: By key.
        file: For messages.

    Returns:
        The configuration.

    Raises:
        BadData: With all faults.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise BadData([_fault(kind, value, fault, file) for fault in error.errors()]) from None


def _fault(kind: type[BaseModel], value: Mapping[str, Any], fault: Any, file: str) -> BadRecord:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        return BadRecord(file, 0, key, str(fault["ctx"]["error"]))
    if fault["type"] == "missing":
        return BadRecord(file, 0, key, "is missing; add it")
    if fault["type"] != "extra_forbidden":
        return BadRecord(file, 0, key, f"{fault['msg']}, not {reprlib.repr(fault.get('input'))}")
    known = _keys(kind, value, fault["loc"][:-1])
    near = nearest(str(fault["loc"][-1]), known, 1)
    return BadRecord(file, 0, key, f"there is no such key; {f'did you mean {near[0]!r}?' if near else _list(known)}")


def _list(known: list[str]) -> str:
    return f"the keys there are {', '.join(known)}"


def _keys(kind: type[BaseModel], value: Any, location: Iterable[Any]) -> list[str]:
    """The keys of the section at `location`; a section of no fixed kind is a method's, whose name says its kind."""
    for part in location:
        value, annotation = value[part], kind.model_fields[part].annotation
        kinds = [each for each in (annotation, *get_args(annotation)) if inspect.isclass(each)]
        kind = next(each for each in kinds if issubclass(each, BaseModel))
        kind = METHODS.get(value["name"]).configuration if kind is BaseModel else kind
    return list(kind.model_fields)
