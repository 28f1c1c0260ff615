"""The mapper that a configuration names."""

from __future__ import annotations

from melder.generative.bottleneck_mapper import BottleneckMapper
from melder.generative.language_model import LanguageModel
from melder.generative.mapper import LinearMapper, Mapper
from melder.generative.resampler_mapper import ResamplerMapper
from melder.methods.gemel import GEMELConfiguration

__all__ = ["build_mapper"]


def build_mapper(options: GEMELConfiguration, picture_shape: tuple[int, ...], language_model: LanguageModel) -> Mapper:
    """A new mapper before this language model.

    Args:
        options: Of the method.
        picture_shape: (width,) of pictures' vectors; (patches, width) of their tokens, where `options.reads_patches`.
        language_model: Before which it stands.

    Returns:
        Of random weights.
    """
    tokens, width, hidden = options.prefix_tokens, language_model.width, options.mapper_width
    if options.mapper == "linear":
        return LinearMapper(picture_shape[0], tokens, width, published=options.published)
    scale = language_model.embedding_deviation
    if options.mapper == "bottleneck":
        return BottleneckMapper(picture_shape[0], tokens, width, hidden, scale)
    patches, patch_width = picture_shape
    return ResamplerMapper(patches, patch_width, tokens, width, hidden, scale)
