"""No code that comes with a model is run, wherever a model is read, and nobody is asked whether to run it."""

from __future__ import annotations

import ast
import builtins
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models
from safetensors.torch import save_file

import melder
from melder.encoders import build_encoder
from melder.generative.language_model import open_language_model
from melder.generative.sentences import open_retriever
from melder.records import MelderError

SOURCE = Path(melder.__file__).parent
DOOR = SOURCE / "encoders" / "pretrained.py"
AUTO = {
    "AutoConfig": "own.OwnConfig",
    "AutoModel": "own.OwnModel",
    "AutoModelForCausalLM": "own.OwnModel",
    "AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"],
    "AutoImageProcessor": "own.OwnProcessor",
}


@pytest.fixture(autouse=True)
def _nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> str:
        raise AssertionError("a question was asked")

    monkeypatch.setattr(builtins, "input", ask)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def _infect(directory: Path, files: tuple[str, ...] = ("config.json",), **changes: object) -> Path:
    """Let configurations name code that would leave a file behind; gives where that file would be."""
    trace = directory / "it-ran"
    (directory / "own.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass OwnModel: ...\nclass OwnConfig: ...\n")
    for name in files:
        file = directory / name
        content = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps({**content, "auto_map": AUTO, **changes}))
    return trace


@pytest.mark.parametrize("form", ["clip:{}", "joint:{}", "paired:{}+none", "paired:python:none+{}"])
def test_an_unknown_model_with_code_of_its_own_is_refused(form: str, tmp_path: Path) -> None:
    directory = tiny_models.clip(tmp_path / "model")
    trace = _infect(directory, model_type="own_model")
    text = tiny_models.bert(tmp_path / "text")
    with pytest.raises(MelderError, match="code of its own, which its auto_map names and which is never run") as caught:
        build_encoder(form.replace("python:none", str(text)).format(directory))
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_a_known_model_is_read_by_the_librarys_code(tmp_path: Path) -> None:
    directory = tiny_models.clip(tmp_path)
    trace = _infect(directory, ("config.json", "tokenizer_config.json", "preprocessor_config.json"))
    for form in ("clip:{}", "joint:{}", "paired:{}+none"):
        build_encoder(form.format(directory))
    assert not trace.exists()


def test_language_models_and_retrievers_are_refused_too(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path)
    trace = _infect(directory, model_type="own_model")
    for read in (open_language_model, lambda spec: open_retriever(spec, "pooler")):
        with pytest.raises(MelderError, match="which is never run"):
            read(str(directory))
    assert not trace.exists()


def test_modules_of_a_sentence_encoders_own_are_refused_by_name(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    trace = _infect(directory, ())
    rows = [
        *json.loads((directory / "modules.json").read_text()),
        {"idx": 2, "name": "2", "path": "", "type": "own.Own"},
    ]
    (directory / "modules.json").write_text(json.dumps(rows))
    with pytest.raises(MelderError, match=r"has modules Transformer, Pooling, own\.Own; a text model here is"):
        build_encoder(f"paired:{directory}+none")
    assert not trace.exists()


@pytest.mark.parametrize(
    "activation", ["own.Own", "torch.hub.load", "torch.nn.modules.activation.Unheard", "os.system"]
)
def test_activations_that_are_not_torchs_are_refused(activation: str, tmp_path: Path) -> None:
    settings = {"activation_function": activation}
    directory = tiny_models.sentence_encoder(tmp_path, modules=["Dense"], dense=settings)
    with pytest.raises(MelderError, match=f"its Dense has the activation {activation}, which is not one of torch.nn"):
        build_encoder(f"paired:{directory}+none")


def test_kernels_of_a_hub_are_refused(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path)
    content = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**content, "attn_implementation": "some/kernel"}))
    with pytest.raises(MelderError, match="asks for the kernel 'some/kernel', code from a hub, which is never run"):
        build_encoder(f"paired:{directory}+none")


def test_a_pickle_of_a_dense_layer_is_not_opened(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, modules=["Dense"])
    (directory / "2_Dense" / "model.safetensors").rename(directory / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(MelderError, match=r"its 2_Dense holds no model\.safetensors; only such weights are read"):
        build_encoder(f"paired:{directory}+none")


def test_weights_that_do_not_fit_a_dense_layer_are_one_line(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, modules=["Dense"])
    import torch

    save_file({"linear.weight": torch.zeros(3, 3)}, directory / "2_Dense" / "model.safetensors")
    with pytest.raises(MelderError, match=r"model\.safetensors: does not fit its config\.json") as caught:
        build_encoder(f"paired:{directory}+none")
    assert "\n" not in str(caught.value)


def _readers(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Of each mention of from_pretrained and from_config, its text and whether it is a call that trusts nothing."""
    safe = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "trust_remote_code=False" in map(ast.unparse, node.keywords)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("from_pretrained", "from_config", "_from_config"):
            yield ast.unparse(node), id(node) in safe
        if isinstance(node, ast.Constant) and node.value in ("from_pretrained", "from_config"):
            yield repr(node.value), False
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and ast.unparse(node.value) != "False":
            yield ast.unparse(node.value), False


@pytest.mark.parametrize("module", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_model_is_read_through_one_door_that_trusts_nothing(module: Path) -> None:
    calls = list(_readers(ast.parse(module.read_text(encoding="utf-8"))))
    if module == DOOR:
        assert len(calls) == 7
        assert all(safe for _, safe in calls)
    else:
        assert not calls


@pytest.mark.parametrize(
    ("source", "safe"),
    [
        ("AutoModel.from_pretrained(name)", [False]),
        ("AutoModel.from_pretrained(name, trust_remote_code=False)", [True]),
        ("AutoModel.from_pretrained(name, trust_remote_code=trusted)", [False, False]),
        ("read = AutoModel.from_config", [False]),
        ("getattr(AutoModel, 'from_pretrained')(name)", [False]),
        ("AutoModel.save_pretrained(name)", []),
    ],
)
def test_a_way_past_the_door_would_be_seen(source: str, safe: list[bool]) -> None:
    assert [each for _, each in _readers(ast.parse(source))] == safe
