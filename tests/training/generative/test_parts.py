"""Mappers and LoRA: each trains, lies in the run as safetensors, and opens as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import melder
from generative import tiny
from melder.generative import lora
from melder.linking.generative import GenerativeLinker
from melder.records import MelderError
from melder.training.configuration import Configuration
from melder.training.loop.train import train


@pytest.mark.parametrize(
    "method",
    [
        {"mapper": "bottleneck", "mapper_width": 4},
        {"mapper": "resampler", "mapper_width": 8, "demonstrations": {"count": 1, "picture": 1.0}},
        {"mapper_start": "names", "template": "{text} {mention}: {picture} {answer}\n"},
        {"lora": {"rank": 2}},
    ],
    ids=["bottleneck", "resampler", "names", "lora"],
)
def test_a_run_opens_as_it_was_trained(small_data: Path, tmp_path: Path, method: dict[str, Any]) -> None:
    run = _trained(small_data, tmp_path, **method)
    stored = json.loads((run / "metrics.json").read_text())
    assert 0 < stored["parameters"]["trained"] < stored["parameters"]["all"]
    with melder.load(run, data=small_data) as linker:
        assert isinstance(linker, GenerativeLinker)
        ranks = linker.ranks(_tune(linker, stored))
        assert float((1 / ranks.optimistic).mean()) > 0


def test_lora_changes_only_its_own_weights_which_the_run_keeps(small_data: Path, tmp_path: Path) -> None:
    run = _trained(small_data, tmp_path, lora={"rank": 2, "layers": ["q_proj", "o_proj"]})
    state = load_file(run / "model.safetensors")
    learned = {name: tensor for name, tensor in state.items() if lora.LORA in name}
    assert sorted(name.split(".")[-4] for name in learned) == ["o_proj", "o_proj", "q_proj", "q_proj"]
    assert all(tensor.any() for tensor in learned.values())  # B starts as zeros
    assert not [name for name in state if "language_model" in name and lora.LORA not in name]


def test_terms_that_were_not_trained_change_nothing() -> None:
    language_model = tiny.llama()
    tokens = torch.arange(3, 10)[None]
    expected = language_model.model(input_ids=tokens).logits
    lora.add_lora(language_model, _options())
    assert torch.equal(language_model.model(input_ids=tokens).logits, expected)
    learns = {name for name, p in language_model.model.named_parameters() if p.requires_grad}
    assert learns == set(lora.lora_weights(language_model))


@pytest.mark.parametrize("layers", [("no_such_layer",), ("q_proj_",), ("model.layers.7.self_attn.q_proj",)])
def test_layers_that_a_model_does_not_have_are_refused_in_one_line(layers: tuple[str, ...]) -> None:
    with pytest.raises(MelderError, match=r"method\.lora\.layers: language model 'llama'") as error:
        lora.add_lora(tiny.llama(), _options(layers=layers))
    assert "\n" not in str(error.value)


def test_without_peft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(MelderError, match=r"pip install 'melder\[lora\]'"):
        lora.add_lora(tiny.llama(), _options())


@pytest.mark.skipif(sys.platform == "win32", reason="directories are not read-only there")
def test_a_directory_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    language_model = tiny.llama()
    lora.add_lora(language_model, _options())
    lora.check_lora_readable(language_model, tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(MelderError, match="no weights can be written there"):
        lora.check_lora_readable(language_model, tmp_path / "missing")


def _options(**settings: Any) -> Any:
    from melder.methods.gemel import LoRAConfiguration

    return LoRAConfiguration(rank=2, **settings)


def _trained(small_data: Path, tmp_path: Path, **method: Any) -> Path:
    tiny.llama().save(tmp_path / "llama")
    content = tiny.settings(small_data, language_model=str(tmp_path / "llama"), **method)
    content["training"] |= {"epochs": 1}
    train(Configuration(**content), tmp_path / "run")
    return tmp_path / "run"


def _tune(linker: GenerativeLinker, stored: dict[str, Any]) -> list[Any]:
    assert linker.data is not None
    return list(linker.data.split("train"))[: stored["mentions"]]
