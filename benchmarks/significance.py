"""How fast intervals and sign-flip tests are, against SciPy's: the figures of docs/decisions/significance.md.

    python benchmarks/significance.py [--mentions 20000] [--rounds 3]

Both draw in chunks of as many numbers, on one core. The interval is the 95 % percentile bootstrap of seven means over
1,000 resamples, the test that of 10,000 random assignments of signs. All ways take turns; times are medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
from scipy.stats import bootstrap, permutation_test
from timing import machine, parser_of, times_of

from melder.metrics.bootstrap import mean_intervals
from melder.metrics.significance import sign_flip
from melder.runs.directory import versions

FIGURES, RESAMPLES, DRAWS = 7, 1000, 10_000
AT_ONCE = 2_000_000  # numbers drawn together


def main() -> None:
    parser = parser_of(__doc__, rounds=3)
    parser.add_argument("--mentions", type=int, default=20_000)
    options = parser.parse_args()
    print(machine(versions()))
    mentions = options.mentions
    values = np.random.default_rng(0).random((mentions, FIGURES))
    differences = values[:, 0] - 0.49
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "intervals": (lambda: mean_intervals(values, 0, RESAMPLES), lambda: _bootstrap(values)),
        "sign flips": (lambda: sign_flip(differences, 0, DRAWS), lambda: _permutation(differences)),
    }
    for name, (ours, theirs) in pairs.items():
        times = times_of({"melder": ours, "scipy": theirs}, options.rounds)
        medians = {way: statistics.median(seconds) for way, seconds in times.items()}
        ratio = medians["scipy"] / medians["melder"]
        print(
            f"{name}, {mentions:,} mentions: {medians['melder']:.2f} s, SciPy {medians['scipy']:.2f} s, × {ratio:.1f}"
        )


def _bootstrap(values: np.ndarray) -> object:
    generator, batch = np.random.default_rng(0), max(1, AT_ONCE // len(values))
    return [
        bootstrap((column,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=generator, batch=batch)
        for column in values.T
    ]


def _permutation(differences: np.ndarray) -> object:
    return permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=DRAWS,
        batch=max(1, AT_ONCE // len(differences)),
        rng=np.random.default_rng(0),
    )


if __name__ == "__main__":
    main()
