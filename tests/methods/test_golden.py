"""The published modules' numbers, to 1e-5 of the largest score."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from melder.methods import from_official_state_dict
from melder.records import MelderError
from methods.golden import CASES, Golden, read_golden


@pytest.fixture(params=CASES)
def golden(request: pytest.FixtureRequest) -> Golden:
    return read_golden(request.param)


def _equal(found: Tensor, expected: Tensor, largest: Tensor) -> bool:
    return bool((found - expected).abs().max() <= 1e-5 * max(1.0, float(largest.abs().max())))


@pytest.mark.parametrize("grad", [True, False])
def test_scores(golden: Golden, grad: bool) -> None:
    matcher, expected = golden.matcher(), golden.tensors
    with torch.set_grad_enabled(grad):
        mentions = matcher.mention_side(golden.features("mention"))
        scores = matcher.score(mentions, matcher.entity_side(golden.features("entity")))
    assert tuple(scores.parts) == golden.case.parts
    assert _equal(scores.total, expected["out/score"], expected["out/score"])
    for number, part in enumerate(scores.parts.values()):
        assert _equal(part, expected[f"out/part{number}"], expected[f"out/part{number}"])


@pytest.mark.parametrize("grad", [True, False])
def test_losses(golden: Golden, grad: bool) -> None:
    matcher, expected = golden.matcher(), golden.tensors
    with torch.set_grad_enabled(grad):
        batch = golden.batch(matcher)
        sides = matcher.mention_side_of(batch.mentions), matcher.entity_side_of(batch.entities)
        losses = matcher.losses(batch, matcher.score(*sides))
    named = {"total": "overall"} | {name: f"part{number}" for number, name in enumerate(golden.case.parts)}
    named |= {"contrastive": "contrastive"} if golden.case.method == "m3el" else {}
    assert losses.keys() == named.keys()
    for name, official in named.items():
        assert _equal(losses[name], expected[f"loss/{official}"], expected[f"loss/{official}"])


def test_a_missing_picture_is_one_of_zeros(golden: Golden) -> None:
    """Published mode does not detect it: the last entity's is scored like any other."""
    matcher, entities = golden.matcher(), golden.features("entity")
    assert entities.image_global is not None
    assert not entities.image_global[-1].any()
    entities.image_mask = torch.arange(len(entities)) < len(entities) - 1
    scores = matcher.score(matcher.mention_side(golden.features("mention")), matcher.entity_side(entities))
    assert _equal(scores.total, golden.tensors["out/score"], golden.tensors["out/score"])


def test_all_that_is_scored_comes_from_the_official_weights(golden: Golden) -> None:
    """Constants for what is missing are Melder's own, and nothing is missing in published mode."""
    matcher = golden.matcher()
    values = list(golden.state.values())
    for name, parameter in matcher.named_parameters():
        if not name.endswith("absent.constant"):
            assert any(value.shape == parameter.shape and torch.equal(value, parameter) for value in values), name


def test_it_comes_back_in_evaluation_mode_and_without_names(golden: Golden) -> None:
    matcher = golden.matcher()
    assert not matcher.training
    assert matcher.lexical is None


@pytest.mark.parametrize("leaves", [["weight"], ["bias"], ["weight", "bias"]])
def test_a_layer_that_is_missing_is_named(golden: Golden, leaves: list[str]) -> None:
    for layer in ("encoder.image_tokens_fc", "matcher.text_tokens_layernorm", *golden.case.needed):
        state = golden.state
        for leaf in leaves:
            del state[f"{layer}.{leaf}"]
        with pytest.raises(MelderError, match=f"lacks {layer}: is it of another method or variant"):
            golden.matcher(state)


def test_the_unit_of_the_variant_that_is_missing_is_named() -> None:
    golden = read_golden("m3el_uni")
    state = {name: tensor for name, tensor in golden.state.items() if not name.startswith("matcher.cmmb.")}
    from_official_state_dict("m3el", state, variant="cmm")
    with pytest.raises(MelderError, match=r"lacks matcher\.cmmb\.text_fc, matcher\.cmmb\.image_fc"):
        from_official_state_dict("m3el", state, variant="cmmb")


def test_layers_that_the_published_code_never_uses_are_dropped(golden: Golden) -> None:
    state = {name: tensor for name, tensor in golden.state.items() if not any(d in name for d in golden.case.dead)}
    assert (len(state) < len(golden.state)) == bool(golden.case.dead)
    used = golden.matcher(state).state_dict()
    assert all(torch.equal(tensor, used[name]) for name, tensor in golden.matcher().state_dict().items())


@pytest.mark.parametrize("heads", [1, 3, 8])
@pytest.mark.parametrize("name", ["m3el_uni", "m3el_bi"])
def test_the_number_of_pooling_heads_is_that_of_the_state(name: str, heads: int) -> None:
    golden = read_golden(name)
    state, variant = golden.state, golden.case.options["variant"]
    state[f"matcher.{variant}.multi_head_module.weight"] = torch.ones(heads, 1)
    cross = golden.matcher(state).heads.fusions["uni" if variant == "cmm" else "bi"]
    assert len(cross.pool.temperatures) == heads
    assert len(golden.matcher().heads.fusions["uni" if variant == "cmm" else "bi"].pool.temperatures) == 5


def test_a_number_of_pooling_heads_that_the_published_code_lacks_is_refused() -> None:
    golden = read_golden("m3el_uni")
    state = golden.state | {"matcher.cmm.multi_head_module.weight": torch.ones(9, 1)}
    with pytest.raises(MelderError, match=r"matcher\.cmm\.multi_head_module\.weight: 9 pooling heads; .* up to 8"):
        golden.matcher(state)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mimic", "matcher.cmfu.image_fc"),
        ("mimic", "matcher.vdlu.dual_men2ent.fc"),
        ("m3el_uni", "matcher.timm.fc_key"),
        ("m3el_bi", "matcher.cmmb.gate_layer_norm"),
        ("otmel", "matcher.image_matcher.cross.fc_v"),
        ("otmel", "matcher.multimodal_matcher.fc_text"),
    ],
)
def test_units_of_unequal_widths_are_one_line(name: str, layer: str) -> None:
    golden = read_golden(name)
    state = golden.state
    for leaf in ("weight", "bias"):
        state[f"{layer}.{leaf}"] = state[f"{layer}.{leaf}"][:-1]
    with pytest.raises(MelderError, match=f"{layer}.weight has the shape .* must all have one width") as error:
        golden.matcher(state)
    assert "\n" not in str(error.value)


def test_a_weight_that_is_no_matrix_is_one_line(golden: Golden) -> None:
    state = golden.state
    state["encoder.image_tokens_fc.weight"] = state["encoder.image_tokens_fc.weight"][0]
    with pytest.raises(MelderError, match=r"encoder\.image_tokens_fc\.weight has 1 axes instead of 2"):
        golden.matcher(state)


def test_a_method_without_official_weights_says_which_have_some() -> None:
    with pytest.raises(MelderError, match=r"'clip' has no official weights; methods that do: m3el, mimic"):
        from_official_state_dict("clip", {})
