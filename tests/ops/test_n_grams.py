"""Names are hashed as scikit-learn hashes them, without it: runs and knowledge bases that exist hold such buckets."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from melder.ops.n_grams import bucket_of, character_grams

reference = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()


@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_n_grams_and_buckets_are_those_of_scikit_learn(name: str) -> None:
    grams = character_grams(name)
    assert grams == reference(name)
    assert [bucket_of(gram, 2**18) for gram in grams] == [abs(murmurhash3_32(gram)) % 2**18 for gram in grams]


def test_buckets_never_change() -> None:
    assert [bucket_of(text, 2**18) for text in ("", " g", "=guinea", "北京")] == [0, 50490, 234559, 60743]


def test_neither_scikit_learn_nor_pandas_is_imported_to_compare_names() -> None:
    code = "import sys, melder.units.lexical; print({'sklearn', 'pandas'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"
