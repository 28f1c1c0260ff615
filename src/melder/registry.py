"""The one way by which a name becomes a part of Melder: an encoder, a method, a unit, an index, a layout and so on.

A registry holds what Melder brings as references, `module:attribute`, which are imported when they are asked for, so
that naming parts costs nothing. Other packages add theirs by entry points, in their own pyproject.toml:

    [project.entry-points."melder.methods"]
    late = "my_package.late:METHOD"

What is registered under which kind, `docs/extending.md` says; `melder list` shows all of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from melder.names import nearest
from melder.records import MelderError

__all__ = ["Entry", "Registry"]

T = TypeVar("T")
OWN = "melder"


@dataclass(frozen=True)
class Entry:
    """What stands under a name.

    Args:
        reference: `module:attribute` of the part.
        summary: One line for `melder list`; of another package's part the first line of its docstring, where None.
        extra: What must be installed beside Melder, `pip install melder[extra]`.
        package: Who brings it.
    """

    name: str
    reference: str
    summary: str | None = None
    extra: str | None = None
    package: str = OWN


class Registry(Generic[T]):
    """The parts of one kind by name.

    Args:
        kind: What one of them is called in messages.
        group: The entry points by which other packages add to them; names of Melder's own cannot be taken.
        entries: Melder's own, in the order in which they are listed.
        form: How a name goes on behind a colon, for messages.
    """

    def __init__(self, kind: str, group: str, entries: Sequence[Entry], form: str = "") -> None:
        self.kind, self.group, self.form = kind, group, form
        self._own = {entry.name: entry for entry in entries}

    def entries(self) -> list[Entry]:
        """Melder's own, then those of other packages by name."""
        points = sorted(entry_points(group=self.group), key=lambda point: point.name)
        return [*self._own.values(), *(_entry(point) for point in points if point.name not in self._own)]

    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries())

    def __contains__(self, name: str) -> bool:
        return name in self._own or name in self.names()

    def get(self, name: str) -> T:
        """The part of this name.

        Raises:
            MelderError: There is none, two packages offer one, or it cannot be imported.
        """
        return self.load(self._own.get(name) or self._other(name))

    def resolve(self, spec: str) -> tuple[T, str]:
        """The part that a specification names, and what follows the name: all of `spec` is a name, or all before its
        first colon is."""
        name = self.name_in(spec)
        return self.get(name), spec[len(name) + 1 :]

    def name_in(self, spec: str) -> str:
        """The name with which a specification begins."""
        return spec if spec in self._own else next((n for n in (spec, spec.partition(":")[0]) if n in self), spec)

    def load(self, entry: Entry) -> T:
        """Import what an entry refers to."""
        module, _, attributes = entry.reference.partition(":")
        try:
            part: Any = importlib.import_module(module)
            for attribute in filter(None, attributes.split(".")):
                part = getattr(part, attribute)
        except Exception as error:
            if entry.package == OWN:
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise MelderError(
                f"the {self.kind} {entry.name!r} of the package {entry.package} cannot be loaded ({reason}); update or "
                "uninstall that package"
            ) from error
        return cast(T, part)

    def summary(self, entry: Entry) -> str:
        """One line that says what it is."""
        if entry.summary is not None:
            return entry.summary
        try:
            part = self.load(entry)
        except MelderError as error:
            return str(error)
        described = getattr(part, "summary", None) or getattr(part, "__doc__", None) or ""
        return str(described).strip().partition("\n")[0]

    def unknown(self, name: str, names: Sequence[str], form: str) -> MelderError:
        """What to say of a name that is none of these."""
        near = nearest(name.partition(":")[0], names, 1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        more = f" ({form})" if form else ""
        return MelderError(f"there is no {self.kind} {name!r};{hint} there are {', '.join(names)}{more}")

    def _other(self, name: str) -> Entry:
        entries = self.entries()
        offers = [entry for entry in entries if entry.name == name]
        if len(offers) > 1:
            packages = " and ".join(sorted(entry.package for entry in offers))
            raise MelderError(f"the {self.kind} {name!r} is offered by {packages}; uninstall one of them")
        if not offers:
            raise self.unknown(name, [entry.name for entry in entries], self.form)
        return offers[0]


def _entry(point: EntryPoint) -> Entry:
    package = "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    return Entry(point.name, point.value, package=package)
