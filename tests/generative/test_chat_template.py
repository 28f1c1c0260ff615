"""Prompts in a chat model's own form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from generative import tiny, tiny_gguf
from melder.generative.chat_template import prompt_template
from melder.generative.demonstrations import Demonstrations
from melder.generative.prompt_builder import PromptBuilder
from melder.methods.gemel import PUBLISHED_TEMPLATE
from melder.records import BadData, MelderError, Mention
from melder.training.configuration import Configuration, read_configuration
from melder.training.loop.train import train

CHATML = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\nBe kind<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def _conversation(template: str) -> str:
    """What the tokenizer itself makes of a demonstration and a question."""
    tokenizer = tiny.gpt2().tokenizer
    tokenizer.chat_template = template
    ask = "{}\nWhat does {} mentioned in the text refer to?"
    turns = [
        {"role": "user", "content": ask.format("A {text}.", "kite")},
        {"role": "assistant", "content": "Red kite"},
        {"role": "user", "content": ask.format("A fox.", "fox")},
        {"role": "assistant", "content": "Grey fox"},
    ]
    return str(tokenizer.apply_chat_template(turns, tokenize=False))


@pytest.mark.parametrize("template", [CHATML, LLAMA, PLAIN], ids=["chatml", "llama", "plain"])
def test_blocks_one_after_another_are_the_conversation(template: str) -> None:
    tokenizer = tiny.gpt2().tokenizer
    tokenizer.chat_template = template
    own = prompt_template("chat", tokenizer, "tiny")
    written = own.lead + own.demonstration("A {text}.", "kite", "Red kite") + own.question("A fox.", "fox")
    assert _conversation(template).startswith(written + "Grey fox")


def test_the_lead_is_there_once_and_takes_room() -> None:
    language_model = tiny.gpt2()
    language_model.tokenizer.chat_template = CHATML
    template = prompt_template("chat", language_model.tokenizer, "tiny")
    none = torch.zeros(0, 1)
    shown = Demonstrations([], none, none, none[:, 0])

    def build(limit: int | None) -> PromptBuilder:
        return PromptBuilder(language_model, template, shown, prefix_tokens=2, limit=limit, longest_answer=4)

    mention = Mention(id="m", text="A fox.", surface="fox")
    (prompt,) = build(None)([mention], [None], [[]])
    text = language_model.text(prompt.lead)
    assert language_model.tokens([template.lead])[0] == list(prompt.lead)
    assert "Be kind" in text
    room = prompt.positions(2) + 4
    assert build(room)([mention], [None], [[]])[0].dropped == 0
    with pytest.raises(MelderError, match=rf"its question has {prompt.positions(2)} positions"):
        build(room - 1)([mention], [None], [[]])


def test_a_template_of_ones_own_has_no_lead() -> None:
    assert prompt_template(PUBLISHED_TEMPLATE, None, "tiny").lead == ""


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "'tiny' has no chat template that can be used"),
        ("{{ raise_exception('only one turn') }}", r"has no chat template .*only one turn"),
        ("{% for m in messages %}{{ loop.index }} {{ m['content'] }}{% endfor %}", "differ from each other"),
        ("{{ messages[0]['content'] }}", "differ from each other"),
    ],
)
def test_a_chat_template_that_will_not_do_is_one_line(template: str | None, message: str) -> None:
    tokenizer = tiny.gpt2().tokenizer
    tokenizer.chat_template = template
    with pytest.raises(MelderError, match=message) as error:
        prompt_template("chat", tokenizer, "tiny")
    assert "\n" not in str(error.value)


def test_the_compact_model_does_not_chat(small_data: Path, tmp_path: Path) -> None:
    file = tmp_path / "gemel.yaml"
    file.write_text(yaml.safe_dump(tiny.settings(small_data)), encoding="utf-8")
    with pytest.raises(BadData, match="lm:compact has no chat template"):
        read_configuration(file, ["method.template=chat"])


def test_a_run_trains_and_links_with_a_gguf_file_and_its_chat_template(small_data: Path, tmp_path: Path) -> None:
    import melder

    file = tiny_gguf.write_gguf(tmp_path / "tiny.gguf")
    content = tiny.settings(small_data, language_model=f"gguf:{file}", template="chat", context_length=512)
    content["method"]["demonstrations"] = {"count": 1}
    content["training"] |= {"epochs": 1}
    train(Configuration(**content), tmp_path / "run")
    assert (tmp_path / "run" / "language_model" / "model.safetensors").is_file()
    link = melder.load(tmp_path / "run", data=small_data).link("A kite by the river", mention="kite")
    assert link.candidates  # type: ignore[union-attr]
