"""Configuration files: YAML, `key=value` overrides, and errors that name the key and the nearest real one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from melder.records import BadData, BadRecord, MelderError

__all__ = ["checked", "override", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MelderError(f"{path}: cannot be read ({error.strerror}); name a configuration file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MelderError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(value, dict):
        raise MelderError(f"{path}: is no mapping of keys to values; see the files in experiments/")
    return value


def override(sections: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """The same configuration with `key=value` assignments carried out; keys are dotted, values are YAML."""
    changed = {name: dict(value) if isinstance(value, dict) else value for name, value in sections.items()}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign or not key:
            raise MelderError(f"{assignment!r}: is no assignment; write key=value, such as training.epochs=3")
        *parents, last = key.split(".")
        section: Any = changed
        for parent in parents:
            section[parent] = dict(section.get(parent) or {})
            section = section[parent]
        section[last] = yaml.safe_load(value)
    return changed


def checked(kind: type[Model], value: Mapping[str, Any], file: str) -> Model:
    """`value` as a configuration of this kind; every fault is named with its key and the file."""
    try:
        return kind(**value)
    except ValidationError as error:
        raise BadData([_fault(kind, fault, file) for fault in error.errors()]) from None


def _fault(kind: type[BaseModel], fault: Any, file: str) -> BadRecord:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "value_error":
        return BadRecord(file, 0, key, str(fault["ctx"]["error"]))
    if fault["type"] != "extra_forbidden":
        return BadRecord(file, 0, key, f"{fault['msg']}, not {fault.get('input')!r}")
    known = _keys(kind, fault["loc"][:-1])
    near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
    return BadRecord(file, 0, key, f"there is no such key; {f'did you mean {near[0]!r}?' if near else _list(known)}")


def _list(known: list[str]) -> str:
    return f"the keys there are {', '.join(known)}"


def _keys(kind: type[BaseModel], location: Iterable[Any]) -> list[str]:
    """The keys of the section at `location`."""
    for part in location:
        field = kind.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        kind = inner
    return list(kind.model_fields)
