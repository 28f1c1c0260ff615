"""Segments of a knowledge base, encoded on a Ray cluster; everything else of a build is done where it was started.

What comes out is what one machine writes, byte for byte: segments are the same rows, chunks the same entities, each
worker has the same number of threads. Every machine must see the knowledge base, the entities' pictures and the run
under the same paths, and have the same kind of processor or GPU for the last bits to be the same.

    planned segments ─> chunks ─> decode_chunk (tasks) ─> EncodeChunk (actors) ─> write_whole (tasks)

A segment gets its name when it is whole and on the disk. What dies is done again, what has its name is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from melder.building.segments import BuildJob, Planned, WriteSegments
from melder.encoders import Throughput
from melder.jobs.ray.cluster import Cluster, connected, counts
from melder.jobs.ray.encoding import EncodeChunk, Row, decode_chunk, write_whole
from melder.protocols import Progress
from melder.records import Entity
from melder.runs.model import CHUNK

__all__ = ["segments_on"]

AT_ONCE = 64  # segments a wave: what their records take is held here, about 250 MB; workers open the model once a wave
SPARE = 1  # CPUs that decode and write
DECODING = 256 << 20  # bytes that a task needs: 256 pictures of 224 x 224, a few times


def segments_on(address: str, *, workers: int | None = None, threads: int = 1) -> WriteSegments:
    """What builds segments on a cluster of Ray.

    Args:
        address: Of the cluster, or `local`.
        workers: That encode; None = as many as fit.
        threads: Of each.

    Returns:
        What `melder.building.build.build` takes as `write`.
    """

    def write(job: BuildJob, planned: Iterable[Planned], progress: Progress) -> Throughput:
        with connected(address, workers, threads, spare=SPARE) as cluster:
            missing = _missing(planned, progress)
            while wave := list(islice(missing, AT_ONCE)):
                for done in _wave(wave, job, cluster):
                    progress(done)
        return Throughput()  # the machines of a cluster encode at the same time: seconds would not add up

    return write


def _wave(planned: list[Planned], job: BuildJob, cluster: Cluster) -> Iterator[int]:
    """Encode and write segments; says of each how many entities it has when it is there."""
    import ray.data

    rows = [row for segment in planned for row in _rows(*segment)]
    common = (job, cluster)
    chunks = ray.data.from_items(rows, override_num_blocks=len(rows))
    # With a demand of its own decoding is no part of what comes after it, and runs on machines without a GPU too.
    decoded = chunks.map(decode_chunk, fn_args=common, num_cpus=1, memory=DECODING)
    encoded = decoded.map(EncodeChunk, fn_constructor_args=common, **cluster.actors(len(rows)))
    whole = max(row["chunks"] for row in rows)
    written = encoded.map_batches(write_whole, batch_size=whole, batch_format="pyarrow", fn_args=common, num_cpus=1)
    yield from counts(written)


def _missing(planned: Iterable[Planned], progress: Progress) -> Iterator[Planned]:
    for path, entities in planned:
        if path.is_dir():
            progress(len(entities))
        else:
            yield path, entities


def _rows(path: Path, entities: Iterable[Entity]) -> Iterator[Row]:
    lines = [entity.model_dump_json().encode() for entity in entities]
    chunks = [lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK)]
    for number, chunk in enumerate(chunks):
        yield {"path": str(path), "chunk": number, "chunks": len(chunks), "entities": b"\n".join(chunk)}
