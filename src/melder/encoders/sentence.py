"""Sentence encoders as sentence-transformers writes them: what comes after the transformer, and the prompts.

`modules.json` lists a Transformer, a Pooling, and any number of Dense and Normalize; anything else is refused by its
name. `config_sentence_transformers.json` holds prompts: a mention gets that of queries, an entity that of documents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.encoders.pooling import pool, read_pooling
from melder.encoders.pretrained import find_file
from melder.encoders.sources import ModelSource, reading
from melder.encoders.towers import Settings
from melder.records import MelderError

__all__ = ["SentenceEncoder", "SentenceHead", "read_sentence_encoder"]

ACTIVATIONS = {*nn.modules.activation.__all__, "Identity"} - {"MultiheadAttention", "Threshold"}  # without arguments
DOCUMENT = ("document", "passage", "corpus")  # names of the prompt of what is searched, as sentence-transformers looks


class DenseLayer(nn.Module):
    """activation(x W + b), with x added (through a layer of its own where widths differ) if so configured."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        read, written = settings["in_features"], settings["out_features"]
        self.linear = nn.Linear(read, written, bias=settings["bias"])
        self.activation = getattr(nn, settings["activation"])()
        self.residual: nn.Module | None = None
        if settings["residual"]:
            self.residual = nn.Identity() if read == written else nn.Linear(read, written, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        out: Tensor = self.activation(self.linear(vectors))
        return out if self.residual is None else out + self.residual(vectors)


class NormalizeLayer(nn.Module):
    """`x / |x|`"""

    settings: Settings = {"type": "Normalize"}  # noqa: RUF012

    def forward(self, vectors: Tensor) -> Tensor:
        return normalize(vectors, dim=-1)


class SentenceHead(nn.Module):
    """From the tokens of a text to its vector of length 1.

    Args:
        poolings: names of pooling modes, whose vectors are joined
        layers: settings of the layers after them, in their order
        width: so many first numbers of the vector are used (a Matryoshka model is trained for that); None = all
    """

    def __init__(self, poolings: Sequence[str], layers: Sequence[Settings] = (), width: int | None = None) -> None:
        super().__init__()
        self.poolings, self.width = tuple(poolings), width
        built = [DenseLayer(layer) if layer["type"] == "Dense" else NormalizeLayer() for layer in layers]
        self.layers = nn.ModuleList(built)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[n, width] of tokens [n, L, d] and their mask [n, L]."""
        vectors = pool(self.poolings, tokens, mask)
        for layer in self.layers:
            vectors = layer(vectors)
        return normalize(vectors[:, : self.width], dim=-1)

    def to_json(self) -> Settings:
        content: Settings = {"pooling": self.poolings[0] if len(self.poolings) == 1 else list(self.poolings)}
        if self.layers:
            content["layers"] = [layer.settings for layer in self.layers]
        return content if self.width is None else content | {"width": self.width}

    @staticmethod
    def from_json(content: Settings) -> SentenceHead:
        named = content["pooling"]
        poolings = [named] if isinstance(named, str) else named
        return SentenceHead(poolings, content.get("layers", ()), content.get("width"))


@dataclass
class SentenceEncoder:
    """A sentence encoder's parts.

    Args:
        transformer: where the model is that makes vectors of tokens
        head: pooling and what follows it
        prompts: what is put before texts, by role (mention, entity)
        lowered: texts are read in lower case
    """

    transformer: ModelSource
    head: SentenceHead
    prompts: dict[str, str] = field(default_factory=dict)
    lowered: bool = False


def read_sentence_encoder(source: ModelSource, width: int | None = None) -> SentenceEncoder:
    """What stands beside a text model; mean pooling alone where nothing does.

    Args:
        source: where the model is
        width: first numbers of the vector that are kept; None = all

    Returns:
        the parts

    Raises:
        MelderError: A module or a setting that Melder does not compute.
    """
    with reading(source, "its files of sentence-transformers are damaged"):
        listed = find_file(source, "modules.json")
        if listed is None:
            _refuse_cross_encoder(source)
            pooling = read_pooling(find_file(source, "1_Pooling/config.json"))
            return SentenceEncoder(source, SentenceHead(pooling, (), width))
        return _read_modules(source, listed, width)


def _read_modules(source: ModelSource, listed: Path, width: int | None) -> SentenceEncoder:
    modules = [_Module(source, row) for row in _read(listed)]
    kinds = [module.kind for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
        raise MelderError(
            f"{listed}: has modules {', '.join(kinds)}; a text model here is a Transformer, a Pooling, and any number "
            "of Dense and Normalize"
        )
    settings = _settings(source)
    transformer, prompts = modules[0], _prompts(settings)
    layers = [_layer(module) for module in modules[2:]]
    width = settings.get("truncate_dim") if width is None else width
    head = SentenceHead(read_pooling(_pooling(modules[1], prompts)), layers, width)
    for module, layer in zip(modules[2:], head.layers, strict=True):
        if module.kind == "Dense":
            _fill(layer, module)
    return SentenceEncoder(transformer.whole, head, prompts, _is_lowered(transformer))


def _refuse_cross_encoder(source: ModelSource) -> None:
    """One stands in its config.json alone, where it would be read as a text model with a head that is not used."""
    file = find_file(source, "config.json")
    own = {} if file is None else _read(file).get("sentence_transformers", {})
    if "activation_fn" in own:
        raise MelderError(
            f"model '{source.name}' is a CrossEncoder, which reads two texts at once and has no vectors; it can be the "
            "second look (rerank.cross)"
        )


@dataclass
class _Module:
    """A row of modules.json; one that is no module of sentence-transformers is called by its full name."""

    source: ModelSource
    row: Settings

    @property
    def kind(self) -> str:
        named = str(self.row["type"])
        return named.rpartition(".")[2] if named.startswith("sentence_transformers.") else named

    @property
    def whole(self) -> ModelSource:
        """The directory of the transformer, often the model's own."""
        if not self.row["path"]:
            return self.source
        if not self.source.local:
            raise MelderError(
                f"model '{self.source.name}': its transformer lies in the folder {self.row['path']}; download the "
                "model and name its directory"
            )
        return ModelSource(str(Path(self.source.name) / self.row["path"]), local=True)

    def file(self, name: str) -> Path | None:
        return find_file(self.source, f"{self.row['path']}/{name}".removeprefix("/"))

    def config(self) -> Settings:
        file = self.file("config.json")
        return {} if file is None else _read(file)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise MelderError(f"{file}: is no JSON; download the model again") from None


def _pooling(module: _Module, prompts: dict[str, str]) -> Path | None:
    file = module.file("config.json")
    if prompts and not module.config().get("include_prompt", True):
        raise MelderError(f"{file}: leaves the prompt out of the pooling, which is not done here; use another model")
    return file


def _layer(module: _Module) -> Settings:
    content = module.config()
    names = {content.get(name) for name in ("module_input_name", "module_output_name")} - {None, "sentence_embedding"}
    if names:
        raise MelderError(
            f"model '{module.source.name}': its {module.kind} reads or writes {names.pop()}; only the "
            "vector of a text can be changed here"
        )
    if module.kind == "Normalize":
        return dict(NormalizeLayer.settings)
    named = str(content.get("activation_function", "torch.nn.modules.activation.Tanh"))
    activation = named.rpartition(".")[2]
    if not named.startswith("torch.nn.") or activation not in ACTIVATIONS:
        raise MelderError(
            f"model '{module.source.name}': its Dense has the activation {named}, which is not one of "
            "torch.nn without arguments"
        )
    return {
        "type": "Dense",
        "in_features": content["in_features"],
        "out_features": content["out_features"],
        "bias": content.get("bias", True),
        "activation": activation,
        "residual": bool(content.get("use_residual", False)),
    }


def _fill(layer: nn.Module, module: _Module) -> None:
    """Put the published weights into a Dense."""
    file = module.file("model.safetensors")
    if file is None:
        raise MelderError(
            f"model '{module.source.name}': its {module.row['path']} holds no model.safetensors; "
            "only such weights are read"
        )
    try:
        layer.load_state_dict(load_file(file))
    except Exception as error:
        raise MelderError(f"{file}: does not fit its config.json ({str(error).partition(chr(10))[0]})") from None


def _settings(source: ModelSource) -> Settings:
    """What the whole model says of itself."""
    file = find_file(source, "config_sentence_transformers.json")
    content: Settings = {} if file is None else _read(file)
    kind = content.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise MelderError(f"{file}: is a {kind}; a text model here is a SentenceTransformer")
    return content


def _prompts(content: Settings) -> dict[str, str]:
    """The prompt of queries for mentions, that of documents for entities; as there, a default one is for neither."""
    prompts = content.get("prompts") or {}
    wanted = {"mention": ("query",), "entity": DOCUMENT}
    chosen = {role: next((prompts[name] for name in names if name in prompts), "") for role, names in wanted.items()}
    return {role: prompt for role, prompt in chosen.items() if prompt}


def _is_lowered(transformer: _Module) -> bool:
    file = transformer.file("sentence_bert_config.json")
    content = {} if file is None else _read(file)
    task = content.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise MelderError(f"{file}: its transformer does {task}; a text model here does feature-extraction")
    further = [name for name in ("query_length", "document_length", "query_expansion") if content.get(name) is not None]
    outputs = [
        entry.get("method_output_name") for name, entry in content.get("modality_config", {}).items() if name == "text"
    ]
    if further or outputs not in ([], ["last_hidden_state"]):
        wrong = further[0] if further else f"the output {outputs[0]}"
        raise MelderError(f"{file}: its transformer has {wrong}, which is not computed here; use another model")
    return bool(content.get("do_lower_case", False))
