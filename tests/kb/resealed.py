"""Knowledge bases that were damaged and sealed again: every digest and size fits, as a stranger would write them."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from melder.io.checksums import WholeFile, digest_blocks, digest_of

Damage = Callable[[Path, random.Random], None]
ODD: tuple[Any, ...] = (-1, 0, 1, 2**31, 2**63, 10**30, 0.5, "x", "", "../x", "/etc/passwd", None, True, [], {}, [[]])
VIEW = "CREATE VIEW pictures AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def manifest_of(base: Path) -> Path:
    return base / "generations" / (base / "CURRENT").read_text().split()[0]


def seal(base: Path) -> None:
    """Write every digest and size anew, from the files up to CURRENT, as far as what there is still lets."""
    manifest = json.loads(manifest_of(base).read_text())
    for entry in manifest["segments"]:
        folder = base / "segments" / str(entry["name"])
        described = folder / "segment.json"
        if not described.is_file():
            continue
        content = json.loads(described.read_text())
        for name in content.get("files", {}):
            if (folder / name).is_file():
                content["files"][name] = json.loads(digest_blocks(folder / name).model_dump_json())
        described.write_text(json.dumps(content))
        entry["digest"] = digest_of(described.read_bytes())
    digests = {str(entry["name"]): entry["digest"] for entry in manifest["segments"]}
    for entry in manifest.get("indexes", ()):
        described = base / "indexes" / entry["name"] / "index.json"
        content = json.loads(described.read_text())
        content["files"] = {name: _whole(described.parent / name) for name in content["files"]}
        for listed in content["segments"]:
            listed["digest"] = digests.get(listed["name"], listed["digest"])
        described.write_text(json.dumps(content))
        entry["digest"] = digest_of(described.read_bytes())
    files = manifest["settings"]["identity"]["files"]
    for name in files:
        if (base / "model" / name).is_file():
            files[name] = _whole(base / "model" / name)
    _write_manifest(base, json.dumps(manifest))


def _whole(path: Path) -> Any:
    return json.loads(WholeFile.of(path).model_dump_json())


def _write_manifest(base: Path, content: str) -> None:
    path = manifest_of(base)
    path.write_text(content)
    (base / "CURRENT").write_text(f"{path.name} {digest_of(content.encode())}\n")


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a value of JSON."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


def change(value: Any, chance: random.Random) -> None:
    """Put something odd in some place, or take what is there away."""
    *way, last = chance.choice(list(places(value)))
    for key in way:
        value = value[key]
    if chance.random() < 0.2:
        del value[last]
    elif isinstance(value[last], int) and chance.random() < 0.5:
        value[last] += chance.choice((-1, 1, 64, 1000))
    else:
        value[last] = chance.choice(ODD)


def in_description(base: Path, chance: random.Random) -> None:
    path = chance.choice(sorted(base.glob("segments/*/segment.json")))
    content = json.loads(path.read_text())
    change(content["sides"] if chance.random() < 0.6 else content, chance)
    path.write_text(json.dumps(content))


def in_manifest(base: Path, chance: random.Random) -> None:
    content = json.loads(manifest_of(base).read_text())
    change(content["segments"] if chance.random() < 0.5 else content, chance)
    _write_manifest(base, json.dumps(content))


def in_bytes(pattern: str) -> Damage:
    def damage(base: Path, chance: random.Random) -> None:
        path = chance.choice(sorted(path for path in base.glob(pattern) if path.stat().st_size))
        content = bytearray(path.read_bytes())
        for _ in range(chance.choice((1, 8, 200))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content[: chance.choice((len(content), len(content) // 2))] + bytes(chance.choice((0, 100))))

    return damage


def in_offsets(base: Path, chance: random.Random) -> None:
    """The numbers that say where names and n-grams begin."""
    folder = chance.choice(sorted(base.glob("segments/*")))
    sides = json.loads((folder / "segment.json").read_text())["sides"]
    place = chance.choice([sides[name] for name in sides if name.endswith(("first_name", "first_gram"))])
    content = bytearray((folder / "sides.bin").read_bytes())
    start = place["offset"] + 8 * chance.randrange(place["shape"][0])
    content[start : start + 8] = chance.choice((-1, 1, 10**6, 2**62)).to_bytes(8, "little", signed=True)
    (folder / "sides.bin").write_bytes(content)


STATEMENTS = (
    "DROP TABLE pictures; " + VIEW,
    "DROP TABLE folded; CREATE VIEW folded AS SELECT id AS name, row FROM records, pictures",
    "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END",
    "CREATE VIEW v AS SELECT load_extension('x')",
    "UPDATE records SET record = '{}'",
    "UPDATE records SET record = 'no JSON' WHERE row = 1",
    "UPDATE records SET row = row + 1000000",
    "DELETE FROM records WHERE row = 0",
    "UPDATE folded SET row = 4000000000",
    "UPDATE folded SET row = 'x'",
    "UPDATE pictures SET start = 9000000000000",
    "UPDATE pictures SET size = -5",
    "UPDATE records SET record = zeroblob(1000)",
    "DROP TABLE records",
    "DROP TABLE names",
    "UPDATE names_docsize SET id = id + 5000",
    "DELETE FROM names_data",
    "UPDATE names_data SET block = randomblob(200)",
    "CREATE TABLE extra (x INTEGER, y INTEGER GENERATED ALWAYS AS (x))",
)


def in_database(base: Path, chance: random.Random) -> None:
    with sqlite3.connect(chance.choice(sorted(base.glob("segments/*/records.sqlite")))) as connection:
        connection.executescript(chance.choice(STATEMENTS))
    connection.close()


def in_links(base: Path, chance: random.Random) -> None:
    """A name that leads out of the directory, or a pipe that never ends."""
    path = chance.choice(sorted(path for path in base.rglob("*") if path.is_file()))
    if chance.random() < 0.7:
        target = base.parent / "outside"
        target.write_bytes(path.read_bytes())
        path.unlink()
        path.symlink_to(target)
    else:
        (path.parent / "segment.json.pipe").unlink(missing_ok=True)
        os.mkfifo(path.parent / "segment.json.pipe")


def in_encoder(base: Path, chance: random.Random) -> None:
    path = base / "model/encoder/encoder.json"
    content = json.loads(path.read_text())
    change(content, chance)
    path.write_text(json.dumps(content))


DAMAGES: dict[str, Damage] = {
    "description": in_description,
    "manifest": in_manifest,
    "sides": in_bytes("segments/*/sides.bin"),
    "offsets": in_offsets,
    "database": in_database,
    "database bytes": in_bytes("segments/*/records.sqlite"),
    "links": in_links,
    "encoder": in_encoder,
    "model": in_bytes("model/**/*.*"),
}
RESEALED_FIRST = frozenset({"manifest"})  # what is damaged after the digests were written


def damage(base: Path, name: str, seed: int) -> None:
    """Damage a knowledge base in one way and seal it again."""
    chance = random.Random(f"{name} {seed}")
    DAMAGES[name](base, chance)
    if name not in RESEALED_FIRST:
        seal(base)
