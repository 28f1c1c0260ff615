"""Residuals: how near they are, what they take, and that a stranger's codebook is looked at before it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kb.made import DECLARED, build, codebook_of, entity, side_of
from melder.features import Side
from melder.io.checksums import WholeFile, digest_blocks
from melder.io.tensors import write_tensors
from melder.kb import open_knowledge_base
from melder.kb.format.arrays import write_arrays
from melder.kb.format.codebook import Codebook, CodebookFile, Quantiser
from melder.kb.format.fewer_tokens import with_fewer_tokens
from melder.kb.format.learning_codebooks import learn_codebook
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.packing import bytes_restored, pack, restore
from melder.kb.format.rounding import WEIGHTS, stored_as
from melder.kb.untrusted import check_segment
from melder.ops.evenly_spaced import evenly_spaced
from melder.protocols import SideTensor
from melder.records import MelderError

TOKENS = {"a.query": SideTensor(tokens="a.mask"), "a.mask": SideTensor(tokens="a.mask")}


def _clustered(seed: int, rows: int, width: int) -> Tensor:
    """Vectors around a few points, of several lengths."""
    draw = torch.Generator().manual_seed(seed)
    middle = 3 * torch.randn(5, width, generator=draw)
    vectors = middle[torch.randint(5, (rows,), generator=draw)] + torch.randn(rows, width, generator=draw)
    return vectors * torch.rand(rows, 1, generator=draw).add_(0.2)


def _learned(vectors: Tensor, bits: int) -> Quantiser:
    side = Side({"a.query": vectors[:, None], "a.mask": torch.ones(len(vectors), 1, dtype=torch.bool)})
    return learn_codebook(side, TOKENS, bits)["a.query"]


def test_more_bits_are_nearer() -> None:
    vectors = _clustered(0, 600, 24)
    errors = [
        float((quantiser.decode(quantiser.encode(vectors)) - vectors).square().sum() / vectors.square().sum())
        for quantiser in (_learned(vectors, bits) for bits in (1, 2, 4))
    ]
    assert errors[0] < 0.1
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 8


@given(st.integers(0, 99), st.sampled_from([1, 2, 4]), st.integers(1, 19))
def test_a_vector_is_read_nearer_than_its_centroid_whatever_its_width(seed: int, bits: int, width: int) -> None:
    vectors = _clustered(seed, 40, width)
    quantiser = _learned(vectors, bits)
    coded = quantiser.encode(vectors.view(4, 10, width))
    assert coded.codes.shape == (4, 10, quantiser.code_bytes)
    assert quantiser.code_bytes == -(-width * bits // 8)
    read = quantiser.decode(coded).view(-1, width)
    rest = (vectors - quantiser.centroids[coded.centroid.view(-1).long()]) / quantiser.deviation
    left = (vectors - read) / quantiser.deviation
    assert (left.norm(dim=1) <= rest.norm(dim=1) * (1 + 2**-9) + 1e-5).all()


def test_a_vector_is_stored_alike_whatever_is_stored_beside_it() -> None:
    vectors = _clustered(1, 64, 12)
    quantiser = _learned(vectors, 2)
    whole, alone = quantiser.decode(quantiser.encode(vectors)), quantiser.encode(vectors[7])
    assert torch.allclose(quantiser.decode(alone), whole[7], atol=1e-4)


def test_equal_vectors_and_none_have_a_codebook_too(tmp_path: Path) -> None:
    for vectors in (torch.ones(3, 5), torch.zeros(2, 5)):
        quantiser = _learned(vectors, 1)
        assert torch.allclose(quantiser.decode(quantiser.encode(vectors)), vectors, atol=1e-3)
        assert torch.isfinite(quantiser.decode(quantiser.encode(100 * vectors))).all()
    side = Side({"a.query": torch.ones(2, 3, 5), "a.mask": torch.zeros(2, 3, dtype=torch.bool)})
    assert not learn_codebook(side, TOKENS, 2)
    arrays = pack(side, "residual2", TOKENS, learn_codebook(side, TOKENS, 2)).arrays
    assert arrays["a.query"].dtype == np.int8  # which needs none


def test_padding_teaches_nothing() -> None:
    side = side_of([entity(f"Q{number}") for number in range(40)])
    spoilt = Side({**side, "text.query": side["text.query"].masked_fill(~side["text.mask"][..., None], 99.0)})
    first, second = (learn_codebook(tensors, DECLARED, 2)["text.query"] for tensors in (side, spoilt))
    assert torch.equal(first.centroids, second.centroids)


def test_names_take_four_bytes_an_n_gram() -> None:
    side = side_of([entity(f"Q{number}", aliases=["another", "one more"][: number % 3]) for number in range(12)])
    packed = {kind: pack(side, kind, DECLARED_NAMES).arrays for kind in ("float16", "residual2")}  # type: ignore[arg-type]
    grams = len(packed["float16"]["lexical.gram"])
    assert packed["residual2"]["lexical.bucket"].nbytes == 3 * grams
    assert packed["residual2"]["lexical.gram"].nbytes == grams


DECLARED_NAMES = {
    **DECLARED,
    "lexical.bucket": SideTensor(weights="lexical.gram", whole=True),
    "lexical.gram": SideTensor(weights="lexical.gram", rounded=False, logarithmic=True),
}


@given(st.floats(0.002, 2))
def test_a_weight_is_within_two_percent(weight: float) -> None:
    (byte,) = stored_as("a", np.array([weight], np.float32), "residual1", SideTensor(logarithmic=True))["a"]
    assert abs(float(WEIGHTS[byte]) / weight - 1) < 0.02
    assert float(WEIGHTS[231]) == 1


@pytest.mark.parametrize("number", [-1, 1 << 24])
def test_numbers_that_three_bytes_do_not_hold_are_refused(number: int) -> None:
    with pytest.raises(MelderError, match=r"tensor 'a' has numbers that three bytes do not hold; store sides as int8"):
        stored_as("a", np.array([3, number]), "residual1", SideTensor(whole=True))


def test_fewer_tokens_say_what_they_count() -> None:
    forms = {**DECLARED, "text.query": SideTensor(tokens="text.mask", share="text.share")}
    side = side_of([entity(f"Q{number}") for number in range(9)])
    fewer = with_fewer_tokens(side, forms, 3)
    assert fewer["text.query"].shape == (9, 3, 6)
    assert torch.equal(fewer["text.mask"].sum(dim=1), side["text.mask"].sum(dim=1).clamp(max=3))
    assert torch.allclose(fewer["text.share"].sum(dim=1), torch.ones(9))
    assert torch.equal(fewer["image.query"], side["image.query"])  # whose unit does not allow it
    mean = side["text.query"].sum(dim=1) / side["text.mask"].sum(dim=1, keepdim=True)
    assert torch.allclose((fewer["text.share"][..., None] * fewer["text.query"]).sum(dim=1), mean, atol=1e-6)


def test_a_codebook_is_read_as_it_was_written(tmp_path: Path) -> None:
    entities = [entity(f"Q{number}") for number in range(9)]
    codebook = codebook_of(entities, "residual1")
    assert codebook is not None
    assert (codebook["text.query"].bits, codebook["text.target"].bits) == (1, 4)
    assert set(codebook_of(entities, "residual2") or ()) == {"text.query"}  # what is no token is int8
    codebook.save(tmp_path / "book")
    file = CodebookFile(tmp_path / "book", WholeFile.of(tmp_path / "book"))
    assert file.read().keys() == codebook.keys()
    assert all(torch.equal(file.read()[name].centroids, codebook[name].centroids) for name in codebook)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("text.query", {"shape": (9, 8, 1)}, "has 1 codes a vector, not those of its codebook"),
        ("text.query.scale", {"shape": (9, 7)}, "does not have a scale for each vector"),
        ("text.query.centroid", {"shape": (9, 4, 2)}, "does not have a scale for each vector"),
        ("text.target.scale", {"shape": (9, 6)}, "does not have a scale for each vector"),
    ],
)
def test_codes_that_do_not_fit_are_refused(name: str, change: dict[str, object], message: str, tmp_path: Path) -> None:
    build(tmp_path / "kb", [entity(f"Q{number}") for number in range(9)], kind="residual2")
    with open_knowledge_base(tmp_path / "kb") as base:
        (reader,) = base.parts
        check_segment(reader)
        places = dict(reader.segment.sides.places)
        reader.segment.sides.places = {**places, name: places[name].model_copy(update=change)}
        with pytest.raises(MelderError, match=message):
            check_segment(reader)


def test_further_pictures_are_stored_by_the_codebook_too(tmp_path: Path) -> None:
    forms = {"a.there": SideTensor(pictures="a.there"), "a.query": SideTensor(tokens="a.mask", pictures="a.there")}
    draw = torch.Generator().manual_seed(0)
    there = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.bool)
    side = Side({"a.there": there, "a.query": torch.randn(4, 3, 5, 6, generator=draw) * there[..., None, None]})
    codebook = learn_codebook(side, forms, 2)
    codebook.save(tmp_path / "book")
    packed = pack(side, "residual2", forms, codebook)
    assert packed.arrays["a.query"].shape == (7, 5, 2)  # a gap is stored too
    places = write_arrays(tmp_path / "sides", packed.arrays, packed.by_row)
    file = CodebookFile(tmp_path / "book", WholeFile.of(tmp_path / "book"))
    arrays = MappedArrays(
        tmp_path / "sides", places, digest_blocks(tmp_path / "sides"), packed.flat, packed.pictures, file
    )
    read = restore(arrays, slice(0, 4))["a.query"]
    assert float((read - side["a.query"]).square().mean()) < 0.15 * float(side["a.query"].square().mean())
    assert bytes_restored(arrays, slice(0, 4)) == 4 * 3 * 4 * (5 * 6 + 1)


@pytest.mark.parametrize(
    "tensors",
    [
        {"a/centroids": torch.zeros(2, 3), "a/deviation": torch.ones(3)},
        {"a/centroids": torch.zeros(2, 3), "a/deviation": torch.ones(4), "a/levels": torch.zeros(4)},
        {"a/centroids": torch.zeros(2, 3), "a/deviation": torch.ones(3), "a/levels": torch.zeros(5)},
        {"a/centroids": torch.zeros(300, 3), "a/deviation": torch.ones(3), "a/levels": torch.zeros(4)},
        {"a/centroids": torch.zeros(2, 3), "a/deviation": torch.tensor([1, torch.inf, 1]), "a/levels": torch.zeros(4)},
        {"a/centroids": torch.zeros(2, 3), "a/deviation": torch.ones(3).half(), "a/levels": torch.zeros(4)},
    ],
)
def test_a_strangers_codebook_is_checked(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    write_tensors(tmp_path / "book", tensors)
    with pytest.raises(MelderError, match=r"book: (is no codebook|has no quantiser|holds numbers)"):
        Codebook.open(tmp_path / "book")


def test_a_file_that_is_no_codebook_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(b"nothing of the kind")
    with pytest.raises(MelderError, match="book: is no codebook"):
        Codebook.open(tmp_path / "book")
    with pytest.raises(MelderError, match="is not what was written"):
        CodebookFile(tmp_path / "book", WholeFile(size=19, digest="0")).read()


def test_places_of_a_sample_are_within_even_where_float32_has_gaps() -> None:
    for length in (
        1,
        5,
        (1 << 24) + 1,
        768 << 15,
    ):  # the last: residuals of 768 numbers, of as many vectors as there can be
        places = evenly_spaced(length, min(length, 1000))
        assert (int(places[0]), int(places[-1])) == (0, length - 1)
        assert int(places.diff().min() if len(places) > 1 else 1) > 0
