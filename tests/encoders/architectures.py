"""Tiny random models of many architectures, each written to a directory as its authors publish theirs.

Run as a script, it prints the table of `docs/encoders.md`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny_models
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

from melder.encoders import Towers, build_encoder, load_encoder
from melder.records import Item

SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VISION = {"image_size": tiny_models.SIZE, "patch_size": 16, "hidden_size": 24, **SMALL}
TEXT = {"hidden_size": 16, "max_position_embeddings": 48, **SMALL}
DECODER = {"hidden_size": 16, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64, **SMALL}


@dataclass(frozen=True)
class Architecture:
    """An architecture: the class of its configuration, and settings given the size of a vocabulary.

    reads: joint, text or pictures; processor: what prepares its pictures; model: the class that is written
    """

    name: str
    reads: str
    config: str
    settings: Callable[[int], dict[str, Any]]
    processor: str = "ViTImageProcessor"
    model: str = ""

    def write(self, directory: Path) -> Path:
        """Raises AttributeError where this version of transformers does not have it."""
        config_class = getattr(transformers, self.config)
        count = 0
        if self.reads != "pictures":
            count = tiny_models.tokenizer(directory, pad="[SEP]" if self.config == "CLIPConfig" else "[PAD]")
        torch.manual_seed(0)
        config = config_class(**self.settings(count))
        written = getattr(transformers, self.model) if self.model else AutoModel
        model = written(config) if self.model else AutoModel.from_config(config)
        _shake(model)
        model.save_pretrained(directory)
        if self.reads != "text":
            tiny_models.processor(directory, self.processor)
        return directory

    def spec(self, directory: Path) -> str:
        if self.reads == "joint":
            return f"joint:{directory}"
        if self.reads == "text":
            return f"paired:{directory}+none"
        return f"paired:{tiny_models.bert(directory / 'bert')}+{directory}"


def of_name(name: str) -> Architecture:
    return next(architecture for architecture in ARCHITECTURES if architecture.name == name)


def _shake(model: torch.nn.Module) -> None:
    """Random numbers everywhere: fresh weights leave biases, and some positions, at zero, which hides mistakes."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)


def _clip_like(vocabulary: int, **text: Any) -> dict[str, Any]:
    own = {**TEXT, "vocab_size": vocabulary, "eos_token_id": vocabulary - 1, "bos_token_id": 2, "pad_token_id": 0}
    return {"text_config": {**own, **text}, "vision_config": dict(VISION), "projection_dim": 12}


def _bert_like(vocabulary: int) -> dict[str, Any]:
    return {**TEXT, "vocab_size": vocabulary, "pad_token_id": 0}


def _siglip(vocabulary: int, **vision: Any) -> dict[str, Any]:
    text = {**TEXT, "vocab_size": vocabulary, "projection_size": 24, "pad_token_id": 0}
    return {"text_config": text, "vision_config": {**VISION, **vision}}


def _decoder(vocabulary: int, **more: Any) -> dict[str, Any]:
    return {**DECODER, "vocab_size": vocabulary, "pad_token_id": 0, **more}


def _vision_language(vocabulary: int, name: str) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10_000.0}
    text = _decoder(vocabulary, rope_parameters=rope)
    vision = {"depth": 1, "hidden_size": 16, "num_heads": 2, "out_hidden_size": 16, "intermediate_size": 16}
    if name == "qwen3":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
    return {"text_config": text, "vision_config": vision}


ARCHITECTURES = [
    Architecture("CLIP", "joint", "CLIPConfig", _clip_like, "CLIPImageProcessor"),
    Architecture("SigLIP", "joint", "SiglipConfig", _siglip, "SiglipImageProcessor"),
    Architecture(
        "SigLIP 2 (NaFlex)", "joint", "Siglip2Config", lambda n: _siglip(n, num_patches=4), "Siglip2ImageProcessor"
    ),
    Architecture("MetaCLIP 2", "joint", "MetaClip2Config", _clip_like, "CLIPImageProcessor"),
    Architecture(
        "Chinese-CLIP",
        "joint",
        "ChineseCLIPConfig",
        lambda n: _clip_like(n, eos_token_id=None),
        "ChineseCLIPImageProcessor",
    ),
    Architecture("AltCLIP", "joint", "AltCLIPConfig", lambda n: _clip_like(n, project_dim=16), "CLIPImageProcessor"),
    Architecture("AIMv2 (LiT)", "joint", "Aimv2Config", _clip_like, "CLIPImageProcessor"),
    Architecture("TIPS v2", "joint", "Tipsv2Config", lambda n: _siglip(n, hidden_size=16), "Tipsv2ImageProcessor"),
    Architecture("GroupViT", "joint", "GroupViTConfig", _clip_like, "CLIPImageProcessor"),
    Architecture("CLIPSeg", "joint", "CLIPSegConfig", _clip_like),
    Architecture("OWL-ViT", "joint", "OwlViTConfig", _clip_like, "OwlViTImageProcessor"),
    Architecture(
        "BLIP",
        "joint",
        "BlipConfig",
        lambda n: {
            "text_config": {**_bert_like(n), "encoder_hidden_size": 24},
            "vision_config": dict(VISION),
            "projection_dim": 12,
        },
        "BlipImageProcessor",
    ),
    Architecture(
        "vision and text, paired by training",
        "joint",
        "VisionTextDualEncoderConfig",
        lambda n: {
            "vision_config": {"model_type": "vit", **VISION},
            "text_config": {"model_type": "bert", **_bert_like(n)},
            "projection_dim": 12,
        },
    ),
    Architecture("ELECTRA", "text", "ElectraConfig", lambda n: {**_bert_like(n), "embedding_size": 8}),
    Architecture("DeBERTa-v2", "text", "DebertaV2Config", _bert_like),
    Architecture("NomicBERT", "text", "NomicBertConfig", _bert_like),
    Architecture("Jina embeddings 3", "text", "JinaEmbeddingsV3Config", _bert_like),
    Architecture("ConvBERT", "text", "ConvBertConfig", _bert_like),
    Architecture("LayoutLM", "text", "LayoutLMConfig", _bert_like),
    Architecture(
        "mT5 (encoder)",
        "text",
        "MT5Config",
        lambda n: {
            "vocab_size": n,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 2,
            "num_heads": 2,
            "pad_token_id": 0,
        },
        model="MT5EncoderModel",
    ),
    Architecture("BERT", "text", "BertConfig", lambda n: {**TEXT, "vocab_size": n}),
    Architecture(
        "DistilBERT",
        "text",
        "DistilBertConfig",
        lambda n: {
            "vocab_size": n,
            "dim": 16,
            "hidden_dim": 32,
            "n_layers": 2,
            "n_heads": 2,
            "max_position_embeddings": 48,
        },
    ),
    Architecture("XLM-RoBERTa", "text", "XLMRobertaConfig", lambda n: {**TEXT, "vocab_size": n, "pad_token_id": 0}),
    Architecture("MPNet", "text", "MPNetConfig", lambda n: {**TEXT, "vocab_size": n}),
    Architecture(
        "ModernBERT",
        "text",
        "ModernBertConfig",
        lambda n: {
            **TEXT,
            "vocab_size": n,
            "pad_token_id": 0,
            "cls_token_id": 2,
            "sep_token_id": n - 1,
            "bos_token_id": 2,
            "eos_token_id": n - 1,
        },
    ),
    Architecture(
        "T5 (encoder)",
        "text",
        "T5Config",
        lambda n: {
            "vocab_size": n,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 2,
            "num_heads": 2,
            "pad_token_id": 0,
        },
        model="T5EncoderModel",
    ),
    Architecture("Qwen3", "text", "Qwen3Config", _decoder),
    Architecture("Gemma 3 (text)", "text", "Gemma3TextConfig", lambda n: _decoder(n, use_bidirectional_attention=True)),
    Architecture(
        "EmbeddingGemma 2",
        "text",
        "EmbeddingGemma2Config",
        lambda n: {"text_config": _decoder(n, global_head_dim=8, hidden_size_per_layer_input=8, embedding_dim=20)},
    ),
    Architecture("Qwen2.5-VL", "text", "Qwen2_5_VLConfig", lambda n: _vision_language(n, "qwen2")),
    Architecture("Qwen3-VL", "text", "Qwen3VLConfig", lambda n: _vision_language(n, "qwen3")),
    Architecture("ViT", "pictures", "ViTConfig", lambda n: dict(VISION)),
    Architecture("DINOv2", "pictures", "Dinov2Config", lambda n: {**VISION, "mlp_ratio": 2}, "BitImageProcessor"),
    Architecture("DINOv3", "pictures", "DINOv3ViTConfig", lambda n: dict(VISION), "DINOv3ViTImageProcessor"),
    Architecture(
        "ConvNeXt V2",
        "pictures",
        "ConvNextV2Config",
        lambda n: {"hidden_sizes": [8, 16, 24, 32], "depths": [1] * 4},
        "ConvNextImageProcessor",
    ),
    Architecture(
        "Swin",
        "pictures",
        "SwinConfig",
        lambda n: {
            "image_size": 32,
            "patch_size": 4,
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "window_size": 2,
        },
    ),
    Architecture(
        "DINOv3 (ConvNeXt)",
        "pictures",
        "DINOv3ConvNextConfig",
        lambda n: {"hidden_sizes": [8, 16, 24, 32], "depths": [1] * 4},
        "DINOv3ViTImageProcessor",
    ),
    Architecture(
        "ResNet",
        "pictures",
        "ResNetConfig",
        lambda n: {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1] * 4},
        "ConvNextImageProcessor",
    ),
    Architecture("BEiT", "pictures", "BeitConfig", lambda n: dict(VISION), "BeitImageProcessor"),
    Architecture("MLCD", "pictures", "MLCDVisionConfig", lambda n: dict(VISION), "CLIPImageProcessor"),
    Architecture("SigLIP (vision)", "pictures", "SiglipVisionConfig", lambda n: dict(VISION), "SiglipImageProcessor"),
    Architecture("MetaCLIP 2 (vision)", "pictures", "MetaClip2Config", lambda n: _clip_like(99), "CLIPImageProcessor"),
    Architecture(
        "AltCLIP (vision)", "pictures", "AltCLIPConfig", lambda n: _clip_like(99, project_dim=16), "CLIPImageProcessor"
    ),
]


def library_text(directory: Path, texts: list[str]) -> torch.Tensor:
    """`get_text_features`, normalised, of what the model's tokenizer makes of the texts as its authors pad them."""
    model, tokenizer = AutoModel.from_pretrained(directory).eval(), AutoTokenizer.from_pretrained(directory)
    padding = {"padding": True}
    if model.config.model_type in ("siglip", "siglip2"):
        padding = {"padding": "max_length", "max_length": model.config.text_config.max_position_embeddings}
    inputs = tokenizer(texts, return_tensors="pt", **padding)
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
    with torch.no_grad():
        return normalize(model.get_text_features(**inputs).pooler_output, dim=-1)


def library_pictures(directory: Path, encoder: Towers, files: list[Path]) -> torch.Tensor:
    """`get_image_features`, normalised, of the library's own preparation of pictures that are squares already."""
    model = AutoModel.from_pretrained(directory).eval()
    if model.config.model_type == "tipsv2":  # the library's own preparation needs torchvision
        with torch.no_grad():
            pixels = encoder.image.pixels(encoder.prepare([Item("", file) for file in files]))
            return normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=-1)
    size = encoder.image.pixels.form.size
    squares = [Image.open(file).convert("RGB").resize((size, size), Image.Resampling.LANCZOS) for file in files]
    processor = transformers.AutoImageProcessor.from_pretrained(directory, backend="pil")
    with torch.no_grad():
        return normalize(model.get_image_features(**processor(squares, return_tensors="pt")).pooler_output, dim=-1)


def read_again(encoder: Towers, directory: Path) -> Towers:
    """What is read of the encoder once it is saved."""
    encoder.save(directory)
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, directory / "w.safetensors")
    loaded = load_encoder(directory)
    loaded.load_state_dict(load_file(directory / "w.safetensors"))
    return loaded


def train_one_step(encoder: Towers, items: list[Item]) -> None:
    """Raises AssertionError where a parameter gets no gradient, or one that is not finite."""
    encoder.train()
    tensors = [tensor for tensor in encoder(encoder.prepare(items)).tensors().values() if tensor.requires_grad]
    sum((tensor.flatten() * torch.linspace(1, 2, tensor.numel())).sum() for tensor in tensors).backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]
    torch.optim.SGD(encoder.parameters(), lr=1e-3).step()
    encoder.eval()


def print_table() -> None:
    """The table of docs/encoders.md: what was measured of each architecture with this version of transformers."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(
        "| architecture | configuration | read as | largest difference from the library | trained, saved, read again |"
    )
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        files = list(tiny_models.pictures(Path(folder) / "pictures").values())
        for number, architecture in enumerate(ARCHITECTURES):
            print(_row(architecture, Path(folder) / str(number), files))


def _row(architecture: Architecture, directory: Path, files: list[Path]) -> str:
    directory.mkdir()
    head = f"| {architecture.name} | `{architecture.config}` | {architecture.reads} |"
    try:
        architecture.write(directory)
    except AttributeError:
        return f"{head} not in transformers {transformers.__version__} | |"
    encoder = build_encoder(architecture.spec(directory))
    texts = [Item(text) for text in tiny_models.TEXTS]
    difference = "-"
    if architecture.reads == "joint":
        features = [encoder(encoder.prepare(items)) for items in (texts, [Item("", file) for file in files])]
        of_texts = features[0].text_global - library_text(directory, tiny_models.TEXTS)
        of_pictures = features[1].image_global - library_pictures(directory, encoder, files)
        difference = f"texts {of_texts.abs().max():.0e}, pictures {of_pictures.abs().max():.0e}"
    items = [Item(text, file) for text, file in zip(tiny_models.TEXTS, files, strict=True)]
    train_one_step(encoder, items)
    again = read_again(encoder, directory / "saved")
    with torch.no_grad():
        tensors = [towers(towers.prepare(items)).tensors() for towers in (encoder, again)]
    equal = all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    return f"{head} {difference} | {'yes, equal' if equal else 'NOT EQUAL'} |"


if __name__ == "__main__":
    print_table()
