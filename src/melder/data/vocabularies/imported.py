"""What is made of a vocabulary: a file of entities, and a list of the pictures that they have somewhere."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from melder.io.atomic import replacing
from melder.records import Entity, MelderError

__all__ = ["COMMONS", "Imported", "commons_address", "opened", "write_imported"]

COMMONS = "https://commons.wikimedia.org/wiki/Special:FilePath/"


class Imported(NamedTuple):
    """An entity, whose images are file names, and the address of each of these files."""

    entity: Entity
    addresses: tuple[str, ...] = ()


def commons_address(name: str) -> str:
    """Where Wikimedia Commons has a file, in the width that encoders need at most.

    Args:
        name: Of the file there.

    Returns:
        Of the web.
    """
    return f"{COMMONS}{quote(name)}?width=512"


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read, unpacked while it is read where it ends in .gz or .bz2.

    Args:
        path: Of the file.

    Yields:
        Its bytes, unpacked.

    Raises:
        MelderError: It cannot be opened, and when it is cut off or none of these formats.
    """
    openers = {".gz": gzip.open, ".bz2": bz2.open}
    try:
        with openers.get(path.suffix.lower(), open)(path, "rb") as file:  # type: ignore[operator]
            yield file
    except EOFError:
        raise MelderError(f"{path}: is cut off; fetch it again") from None
    except gzip.BadGzipFile as error:
        raise MelderError(f"{path}: is no gzip file ({error}); give it the ending of what is in it") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise MelderError(f"{path}: cannot be read ({reason}); check the path, and that it is whole") from None


def write_imported(out: Path, imported: Iterable[Imported], pictures: Path | None) -> int:
    """Write entities as JSON Lines, one after the other; afterwards the file is whole or not there.

    Args:
        out: the file of entities
        imported: what is written; nothing of it is held
        pictures: a file for the list of pictures, a name, a tab and an address a line; None = entities without them

    Returns:
        the number of entities
    """
    with ExitStack() as files:
        listed = None if pictures is None else files.enter_context(replacing(pictures))
        return _write(files.enter_context(replacing(out)), imported, listed)


def _write(out: Path, imported: Iterable[Imported], pictures: Path | None) -> int:
    count = 0
    with ExitStack() as files:
        file = files.enter_context(out.open("w", encoding="utf-8", newline="\n"))
        listed = files.enter_context(pictures.open("w", encoding="utf-8", newline="\n")) if pictures else None
        for entity, addresses in imported:
            count += 1
            if listed is not None:
                pairs = zip(entity.images, addresses, strict=True)
                listed.writelines(f"{name}\t{address}\n" for name, address in pairs)
            # An address is a picture once a file of its name is there, and no mistake before.
            entity = entity.model_copy(update={"images": addresses if listed is not None else ()})
            file.write(entity.model_dump_json(exclude_defaults=True) + "\n")
    return count
