"""Features of a frozen encoder that rows of an experiment share: each data set is encoded once for each encoder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from melder.encoders import from_scratch
from melder.io.atomic import replace_file
from melder.kb import is_knowledge_base
from melder.methods import method_of
from melder.protocols import Counting
from melder.training.configuration import Configuration
from melder.training.encoding import encode_dataset
from melder.training.prepare import OnUnreadable

__all__ = ["SharedFeatures"]

WHOLE = "complete"  # an empty file beside features of which nothing is missing


class SharedFeatures:
    """Features that rows of an experiment share.

    Args:
        directory: Below which they lie.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Told of pictures that cannot be read.
    """

    def __init__(self, directory: Path, counting: Counting, on_unreadable: OnUnreadable) -> None:
        self.directory, self.counting, self.on_unreadable = directory, counting, on_unreadable

    def of(self, configuration: Configuration) -> Path | None:
        """Where the features of a configuration's data set are, encoded now if they are missing.

        Returns:
            None where no other training may read them: the encoder learns or begins anew with each seed, the mentions
            are made for the training, or the method compares no features.
        """
        data, encoder = configuration.data, configuration.encoder
        own = data.from_entities is not None or data.features is not None
        if own or encoder.trained or from_scratch(encoder.name) or not method_of(configuration.method).compares:
            return None
        out = self.directory / f"{data.directory.name}-{_digest(configuration)}"
        if not (out / WHOLE).is_file():
            heard = self.on_unreadable if data.skip_bad else None
            encode_dataset(configuration, out, counting=self.counting, on_unreadable=heard)
            replace_file(out / WHOLE, b"")
        return out

    def of_entities(self, configuration: Configuration, source: Path) -> Path | None:
        """The same of another data set's entities; None also for a knowledge base, which holds its own."""
        if is_knowledge_base(source):
            return None
        data = configuration.data.model_copy(update={"directory": source, "layout": "auto"})
        return self.of(configuration.model_copy(update={"data": data}))


def _digest(configuration: Configuration) -> str:
    """Of whatever features depend on besides the files, and the seed, which a frozen encoder does not read."""
    sections: Sequence[object] = (
        configuration.data.model_dump(mode="json", exclude={"fraction"}),
        configuration.encoder.model_dump(mode="json"),
        configuration.published,
        configuration.pictures,
    )
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()[:8]
