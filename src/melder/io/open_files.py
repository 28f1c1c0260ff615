"""What the system allows a process."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows, where the C library allows so many
    resource = None  # type: ignore[assignment]

__all__ = ["allow_open_files", "files_at_once", "open_files_allowed"]

WITHOUT_LIMITS = 512
KEPT_OPEN = 256  # SQLite files of one knowledge base: opening one takes as long as ten queries, and of a million
#                  entities every segment is asked for some


def open_files_allowed() -> int | None:
    """How many files this process may have open at once; None when that is not limited."""
    if resource is None:
        return WITHOUT_LIMITS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if allowed == resource.RLIM_INFINITY else int(allowed)


def allow_open_files(wanted: int) -> int | None:
    """Raise this process's own limit as far as the system lets it.

    Args:
        wanted: so many files are to be open at once.

    Returns:
        How many may be open now; None when that is not limited.
    """
    allowed = open_files_allowed()
    if resource is None or allowed is None or allowed >= wanted:
        return allowed
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return int(raised)


def files_at_once() -> int:
    """How many files a knowledge base keeps open: `KEPT_OPEN`, or a quarter of what the system allows."""
    allowed = open_files_allowed()
    return KEPT_OPEN if allowed is None else min(KEPT_OPEN, allowed // 4)
