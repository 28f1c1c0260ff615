"""Small models with random weights, written as published ones are, so that no test needs the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    ConvNextConfig,
    ConvNextModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

TEXTS = ["Golden Delicious. A yellow apple", "Guinea won the toss", "the tricolour of Guinea, red gold green"]
SIZE = 32  # pixels
COLOURS = {"red": (220, 20, 30), "green": (10, 140, 60), "blue": (20, 40, 200)}


def tokenizer(directory: Path, *, pad: str = "[PAD]") -> int:
    """Save a small word tokenizer `[CLS] … [SEP]`; gives the size of its vocabulary."""
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]"]
    words.train_from_iterator(TEXTS, trainers.WordLevelTrainer(special_tokens=special, show_progress=False))
    words.add_special_tokens(["[SEP]"])  # the highest id, as CLIP's end of text is
    marks = [(name, words.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    words.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    saved = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token=pad, eos_token="[SEP]", model_max_length=64
    )
    saved.save_pretrained(directory)
    return len(saved)


def processor(directory: Path, kind: str) -> None:
    content = {
        "image_processor_type": kind,
        "do_resize": True,
        "size": {"height": SIZE, "width": SIZE},
        "do_normalize": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.25, 0.3],
    }
    if kind in ("CLIPImageProcessor", "ChineseCLIPImageProcessor"):
        content |= {"size": {"shortest_edge": SIZE}, "do_center_crop": True}
        content |= {"crop_size": {"height": SIZE, "width": SIZE}}
    (directory / "preprocessor_config.json").write_text(json.dumps(content))


def clip(directory: Path) -> Path:
    """CLIP pads with its end-of-text token and pools at the highest id."""
    vocabulary = tokenizer(directory, pad="[SEP]")
    text = {"vocab_size": vocabulary, "max_position_embeddings": 48, "hidden_size": 16, "eos_token_id": 2}
    vision = {"image_size": SIZE, "patch_size": 16, "hidden_size": 24}
    small = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text | small, vision_config=vision | small, projection_dim=12)
    CLIPModel(config).save_pretrained(directory)
    processor(directory, "CLIPImageProcessor")
    return directory


def bert(directory: Path, pooling: dict[str, object] | None = None) -> Path:
    vocabulary = tokenizer(directory)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=48,
    )
    BertModel(config).save_pretrained(directory)
    if pooling is not None:
        (directory / "1_Pooling").mkdir()
        (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return directory


def sentence_encoder(
    directory: Path,
    *,
    modules: Sequence[str] = (),
    pooling: str | list[str] = "mean",
    prompts: dict[str, str] | None = None,
    transformer: Callable[[Path], Path] = bert,
    dense: dict[str, object] | None = None,
) -> Path:
    """A model with the files that sentence-transformers reads and writes; `dense` changes settings of its Dense."""
    transformer(directory)
    width = json.loads((directory / "config.json").read_text())["hidden_size"]
    kinds = ["Transformer", "Pooling", *modules]
    rows = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(rows))
    (directory / "1_Pooling").mkdir()
    written = {"embedding_dimension": width, "pooling_mode": pooling}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(written))
    read = width * (1 if isinstance(pooling, str) else len(pooling))
    for row in rows[2:]:
        folder = directory / str(row["path"])
        folder.mkdir()
        if folder.name.endswith("Dense"):
            settings = {"in_features": read, "out_features": 12, "bias": True, **(dense or {})}
            settings = {"activation_function": "torch.nn.modules.activation.Tanh", **settings}
            (folder / "config.json").write_text(json.dumps(settings))
            torch.manual_seed(5)
            weights = {"linear.weight": torch.randn(12, read)}
            weights |= {"linear.bias": torch.randn(12)} if settings["bias"] else {}
            weights |= {"residual.weight": torch.randn(12, read)} if settings.get("use_residual") else {}
            save_file(weights, folder / "model.safetensors")
            read = 12
    named = {"prompts": prompts or {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    (directory / "config_sentence_transformers.json").write_text(json.dumps(named))
    return directory


def t5(directory: Path) -> Path:
    vocabulary = tokenizer(directory)
    config = T5Config(vocab_size=vocabulary, d_model=20, d_kv=10, d_ff=32, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(directory)
    return directory


def vit(directory: Path, *, pooler: bool = True) -> Path:
    config = ViTConfig(
        image_size=SIZE,
        patch_size=16,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(2)
    (ViTModel(config) if pooler else ViTForImageClassification(config)).save_pretrained(directory)
    processor(directory, "ViTImageProcessor")
    return directory


def convnext(directory: Path) -> Path:
    torch.manual_seed(3)
    ConvNextModel(ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1] * 4)).save_pretrained(directory)
    processor(directory, "ConvNextImageProcessor")
    return directory


def stored(file: Path, names: list[str], seed: int = 0) -> Path:
    """Features of pictures, as `precomputed:` reads them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        "image_global": torch.randn(len(names), 10, generator=draw).half(),
        "image_tokens": torch.randn(len(names), 4, 6, generator=draw).half(),
    }
    save_file(tensors, file, metadata={"names": json.dumps(names)})
    return file


def pictures(directory: Path) -> dict[str, Path]:
    """A picture of each colour, wider than high, with a white band so that places differ."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, colour in COLOURS.items():
        picture = Image.new("RGB", (60, 40), colour)
        picture.paste((250, 250, 250), (0, 25, 60, 40))
        files[name] = directory / f"{name}.png"
        picture.save(files[name])
    return files
