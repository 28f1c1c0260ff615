"""Settings of encoders that mean nothing are refused in one line, before anything is read or trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import tiny_models
from pydantic import ValidationError

from melder.data.pictures import Limits, UnreadablePicture, known_formats
from melder.encoders import build_encoder, train_last_layers
from melder.encoders.sources import ModelSource, reading
from melder.linking.linker import BaseLinker
from melder.records import MelderError, Mention
from melder.runs.model_configuration import EncoderConfiguration
from melder.serving.errors import ApiError
from melder.serving.pictures import ImageLoader
from melder.serving.settings import ServiceSettings

PROMPTS = {"query": "a long prompt of many words: "}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text_length": 0}, "text_length is 0: give a number above 0"),
        ({"width": -5}, "width is -5: give a number above 0"),
        ({"limits": Limits(pixels=0)}, "pixels of limits is 0: give a number above 0"),
        ({"limits": Limits(formats=())}, "formats of limits: no format is named; name some of JPEG, PNG"),
        (
            {"limits": Limits(formats=("PNG", "XYZ"))},
            "formats of limits: Pillow reads no XYZ here; name some of JPEG",
        ),
        ({"text_length": 2}, "text_length is 2, and the model's own marks and prompt are 2 tokens"),
    ],
)
@pytest.mark.parametrize("spec", ["clip:compact", "paired:{}+none"])
def test_numbers_and_formats(settings: dict[str, Any], message: str, spec: str, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=message) as caught:
        build_encoder(spec.format(tiny_models.bert(tmp_path)), texts=tiny_models.TEXTS, **settings)
    assert "\n" not in str(caught.value)


def test_a_prompt_that_leaves_no_room_for_the_text(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, prompts=PROMPTS)
    with pytest.raises(MelderError, match="own marks and prompt are 9 tokens, so that no word would be read"):
        build_encoder(f"paired:{directory}+none", text_length=8)
    build_encoder(f"paired:{directory}+none", text_length=10)


@pytest.mark.parametrize("kind", [EncoderConfiguration, ServiceSettings])
@pytest.mark.parametrize("formats", [(), ("XYZ",)])
def test_formats_of_a_configuration(kind: Any, formats: tuple[str, ...]) -> None:
    required = {"name": "starter"} if kind is EncoderConfiguration else {}
    with pytest.raises(ValidationError, match="name some of JPEG"):
        kind(**required, picture_formats=formats)
    assert kind(**required, picture_formats=("jpeg",)).picture_formats == ("JPEG",)


def test_names_of_formats_are_pillows() -> None:
    assert known_formats(("jpeg", "Png")) == ("JPEG", "PNG")


@pytest.mark.parametrize("count", [10, 99])
def test_more_layers_than_there_are(count: int) -> None:
    encoder = build_encoder("clip:compact", texts=tiny_models.TEXTS)
    message = rf"trained_layers is {count}, .* fewer layers \(text 2, image 9\); lower it"
    with pytest.raises(MelderError, match=message):
        train_last_layers(encoder, count)


@pytest.mark.parametrize(
    "error", ["TimmWrapperConfig requires the timm library. pip install timm", "install timm: No module torchvision"]
)
def test_what_timm_needs_is_said_in_one_line(error: str) -> None:
    message = r"a checkpoint of timm, which itself needs torchvision; install melder\[timm\]"
    with pytest.raises(MelderError, match=message), reading(ModelSource("model", local=True)):
        raise ImportError(error)


def test_of_several_pictures_the_one_that_cannot_be_read_is_named(pictures: dict[str, Path]) -> None:
    loader, good = ImageLoader(ServiceSettings(), None), pictures["red"].read_bytes()  # type: ignore[arg-type]
    with pytest.raises(ApiError, match="picture 2 of 3: the picture given: not a picture"):
        anyio.run(loader.take_all, [good, b"none", good])
    with pytest.raises(ApiError, match=r"^422: the picture given: not a picture"):
        anyio.run(loader.take_all, [b"none"])


class Reading(BaseLinker):
    """A linker of which only what it reads is asked."""

    pictures_read, modalities = 4, frozenset({"text", "image"})
    answers = known_types = close = entity = None  # type: ignore[assignment]


def test_of_pictures_as_bytes_the_one_that_cannot_be_read_is_named(pictures: dict[str, Path]) -> None:
    linker, good = Reading(), pictures["red"].read_bytes()
    encoder = build_encoder("clip:compact", texts=tiny_models.TEXTS)
    linker.model = SimpleNamespace(encoder=encoder)  # type: ignore[assignment]
    with pytest.raises(UnreadablePicture, match="picture 2 of 2: the picture given: not a picture"):
        linker.item(Mention(id="m"), [good, b"none"])
    assert len(linker.item(Mention(id="m"), [good, good]).images) == 2
