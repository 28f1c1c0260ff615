from __future__ import annotations

from hypothesis import settings

# The same examples every time: a failure elsewhere is a failure here.
settings.register_profile("melder", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("melder")
