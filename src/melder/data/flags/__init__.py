"""National flags: a small data set of confusable nations that is generated, pictures and all, in some seconds."""

from melder.data.flags.build import is_drawn, write_flags

__all__ = ["is_drawn", "write_flags"]
