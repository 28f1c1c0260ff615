"""Which ids a segment may hold: a hash of each, ascending, in a file that is read in one go.

To find out that an id is new every segment has to be asked, and to ask SQLite means to check and to open its file: of
ten million entities that are thousands. Where the hash of an id is missing, the segment has not got it; two ids that
share a hash only cost a look into the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from melder.io.checksums import WholeFile, damaged, digest_of

__all__ = ["hashes_of", "read_hashes", "write_hashes"]

KIND = np.dtype("<u8")


def hashes_of(identities: Sequence[str]) -> np.ndarray:
    """Hashes of ids.

    Args:
        identities: Any texts.

    Returns:
        [ids] uint64, in their order.
    """
    digests = b"".join(hashlib.blake2b(identity.encode(), digest_size=8).digest() for identity in identities)
    return np.frombuffer(digests, KIND)


def write_hashes(path: Path, identities: Iterable[str]) -> WholeFile:
    """Write those of a segment's ids.

    Args:
        path: A new file.
        identities: Of the segment.

    Returns:
        What was written.
    """
    content = np.sort(hashes_of(list(identities))).tobytes()
    path.write_bytes(content)
    return WholeFile(size=len(content), digest=digest_of(content))


def read_hashes(path: Path, expected: WholeFile) -> np.ndarray:
    """The hashes of a segment.

    Args:
        path: The file.
        expected: What was written there.

    Returns:
        [ids] uint64, ascending.

    Raises:
        MelderError: The file is missing, or is not what was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from None
    if digest_of(content) != expected.digest:
        raise damaged(path, "is not what was written")
    return np.frombuffer(content, KIND)
