"""A knowledge base of a few creatures, the commands that change it, and what it holds before and after each."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from melder.building import build as kb_build
from melder.data import EntityFile
from melder.kb import Writer, compact, open_knowledge_base
from melder.kb.inspection import verify
from melder.records import Entity, MelderError
from samples import unpacked
from training.small import read_lines, write_lines


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="package")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored sample: a data set, a run, a knowledge base, features, predictions and links."""
    return unpacked(1, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="package")
def _fast() -> Iterator[None]:
    """Segments of two entities, one thread (a fork has no others), and the model opened once."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        for module in ("melder.building.build", "melder.kb.compaction"):
            patch.setattr(f"{module}.SEGMENT_ROWS", 2)
        yield
    torch.set_num_threads(threads)


@dataclass
class Command:
    """A command, the knowledge base it starts from (None: there is none), and what there is before and after it."""

    run: Callable[[Path], object]
    start: Path | None
    old: list[Entity]
    new: list[Entity]
    again: str  # what the command says when its work is done already
    seen: dict[str, str] = field(default_factory=dict)  # states that were looked at, and what they turned out to be

    def begin(self, directory: Path) -> Path:
        """A fresh place for the command to work in."""
        shutil.rmtree(directory, ignore_errors=True)
        return directory if self.start is None else Path(shutil.copytree(self.start, directory))

    def look(self, directory: Path) -> str:
        """Whether a knowledge base is at the old or the new generation, and whether the command can be given again.

        What was found out about a directory once is not found out again about one that holds the same.
        """
        state = _state(directory)
        if state not in self.seen:
            self.seen[state] = self._look(directory)
        return self.seen[state]

    def _look(self, directory: Path) -> str:
        found = self._generation(directory)
        said = self._run_again(directory)
        assert said is None or (found == "new" and self.again in said)
        assert holds(directory) == self.new
        if said is None:
            assert not list(directory.rglob("*.part")), "what was left behind is gone"
            assert len(list((directory / "generations").iterdir())) == 1
        return found

    def _run_again(self, directory: Path) -> str | None:
        try:
            self.run(directory)
        except MelderError as error:
            return str(error)
        return None

    def _generation(self, directory: Path) -> str:
        if self.start is None and not (directory / "CURRENT").exists():
            with pytest.raises(
                MelderError, match=r"no such directory|is no knowledge base|not built to its end"
            ) as error:
                open_knowledge_base(directory)
            assert "\n" not in str(error.value)
            return "old"
        entities = holds(directory)
        assert entities in (self.old, self.new)
        return "new" if entities == self.new and self.new != self.old else "old"


def holds(directory: Path) -> list[Entity]:
    """The entities of a knowledge base whose every block is as it was written."""
    with open_knowledge_base(directory) as base:
        assert verify(directory, silent) == (len(base), [])
        return list(base.entities)


@pytest.fixture(scope="package")
def commands(sample: Path, tmp_path_factory: pytest.TempPathFactory, _fast: None) -> Iterator[dict[str, Command]]:
    """`melder kb build`, `add`, `update`, `remove` and `compact`, by their names."""
    here = tmp_path_factory.mktemp("commands")
    records = read_lines(sample / "data/entities.jsonl")[:7]
    for each in records[1:]:
        each["images"] = []
    changed = {**records[1], "name": "Other panda"}
    chosen = {"three": records[:3], "more": records[3:6], "changed": [changed, records[2]]}
    for name, some in chosen.items():
        write_lines(here / f"{name}.jsonl", some)
    models = {sample / "run": kb_build.open_model(sample / "run")}
    with pytest.MonkeyPatch.context() as patch:
        for module in ("melder.building.build", "melder.building.segments"):
            patch.setattr(f"{module}.open_model", lambda run: models[sample / "run"])
        patch.setattr("os.fsync", lambda descriptor: None)

        def build(directory: Path) -> object:
            source = EntityFile(here / "three.jsonl", sample / "data")
            return kb_build.build(directory, source, run=sample / "run", counting=silent)

        def change(file: str, replace: bool) -> Callable[[Path], object]:
            source = EntityFile(here / file, sample / "data")
            return lambda directory: kb_build.change_from_file(directory, source, replace=replace, skip_bad=False)

        def merge(directory: Path) -> None:
            with Writer.open(directory) as writer:
                compact(writer)

        three, more, other = (entities_of(here / f"{name}.jsonl") for name in chosen)
        build(start := here / "kb")
        two = [three[0], three[2]]
        yield {
            "build": Command(build, None, [], three, "is a knowledge base already"),
            "add": Command(change("more.jsonl", False), start, three, [*three, *more], "replace it with"),
            "update": Command(change("changed.jsonl", True), start, three, [three[0], *other], ""),
            "remove": Command(
                lambda kb: kb_build.remove_entities(kb, [three[1].id]), start, three, two, "holds no entity"
            ),
            "compact": Command(merge, _removed_from(start, here / "holes", three[1].id), two, two, ""),
        }


def entities_of(path: Path) -> list[Entity]:
    return [Entity(**each) for each in read_lines(path)]


def _removed_from(start: Path, directory: Path, identity: str) -> Path:
    shutil.copytree(start, directory)
    kb_build.remove_entities(directory, [identity])
    return directory


def _state(directory: Path) -> str:
    """A digest of the names and contents of all files below a directory."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        digest.update(f"{path.relative_to(directory)} {content}\n".encode())
    return digest.hexdigest()
