"""Checkpoints as the published code leaves them: golden weights around a small CLIP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from encoders import tiny_models
from methods.golden import read_golden


def small_clip(directory: Path, seed: int) -> Path:
    """A CLIP, as published ones lie on disk, of the sizes that the golden weights are for."""
    directory.mkdir(parents=True)
    vocabulary = tiny_models.tokenizer(directory, pad="[SEP]")
    small = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": vocabulary, "max_position_embeddings": 48, "hidden_size": 32, "eos_token_id": 2}
    vision = {"image_size": tiny_models.SIZE, "patch_size": 16, "hidden_size": 48}
    torch.manual_seed(seed)
    CLIPModel(CLIPConfig(text_config=text | small, vision_config=vision | small, projection_dim=32)).save_pretrained(
        directory
    )
    tiny_models.processor(directory, "CLIPImageProcessor")
    return directory


def official_state(golden: str, clip: Path) -> dict[str, Tensor]:
    """The weights of a golden file and of a CLIP, with the buffers that old versions of transformers left."""
    parts = CLIPModel.from_pretrained(clip).state_dict()
    parts |= {f"{tower}.embeddings.position_ids": torch.arange(5)[None] for tower in ("text_model", "vision_model")}
    return {f"encoder.clip.{name}": tensor for name, tensor in parts.items()} | read_golden(golden).state


def lightning_checkpoint(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """A pickle with what Lightning puts beside the weights, settings as objects of another library among it."""
    settings = argparse.Namespace(data="WikiMEL", model=argparse.Namespace(dv=96))
    torch.save({"epoch": 3, "state_dict": state, "hyper_parameters": settings, "callbacks": {}, **more}, path)
    return path
