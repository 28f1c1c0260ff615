"""What commands that can run on a Ray cluster have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from melder.records import MelderError

__all__ = ["Address", "Threads", "Workers", "compute_with"]

Address = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS|local", help="Do the work on a Ray cluster, or on one on this machine."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="With --ray: processes that hold a model; default: all that there is room for."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of a process; default: all cores, and with --ray one."),
]


def compute_with(address: str | None, workers: int | None, threads: int | None) -> None:
    """Set the threads of this process. Raises MelderError for workers without a cluster."""
    if workers is not None and address is None:
        raise MelderError("--workers says how many are to work on a cluster; name it with --ray, or --ray local")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
