"""What the system allows a process."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows, where the C library allows so many
    resource = None  # type: ignore[assignment]

__all__ = ["open_files_allowed"]

WITHOUT_LIMITS = 512


def open_files_allowed() -> int | None:
    """How many files this process may have open at once; None when that is not limited."""
    if resource is None:
        return WITHOUT_LIMITS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if allowed == resource.RLIM_INFINITY else int(allowed)
