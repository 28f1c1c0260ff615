"""The second look of a run over its linker: opened once, and put over any first stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melder.linking.cross_stage import open_cross_stage
from melder.linking.letters_stage import open_letters_stage
from melder.linking.rerank import RerankingLinker
from melder.linking.second_stage import SecondStage
from melder.protocols import Linker
from melder.runs.rerank_configuration import RerankConfiguration, read_rerank

__all__ = ["DEFAULT_WEIGHT", "SecondLook", "open_second_look", "open_stage"]

DEFAULT_WEIGHT = 0.2  # where none was learned: the first stage knows the knowledge base, a language model does not


@dataclass(frozen=True)
class SecondLook:
    """A second stage with its settings.

    Args:
        look: The settings, of which `top` and `weight` are for the linker over the first stage.
        stage: What scores candidates anew.
    """

    look: RerankConfiguration
    stage: SecondStage

    def over(self, first: Linker) -> RerankingLinker:
        """A linker that looks at the candidates of `first` once more."""
        weight = DEFAULT_WEIGHT if self.look.weight is None else self.look.weight
        return RerankingLinker(first, self.stage, top=self.look.top, weight=weight)


def open_second_look(run: Path, changes: Sequence[str] = (), device: str | None = None) -> SecondLook | None:
    """The second look that a run has, or that `rerank.KEY=VALUE` settings ask for; None where there is none.

    Args:
        run: A finished one.
        changes: Settings `key=value`; those of the method are passed over.
        device: As PyTorch calls it; None = a GPU where there is one.

    Returns:
        The opened stage with its settings; None where there is none, or `rerank.top` is 0.

    Raises:
        MelderError: A setting is none, or a model is not to be had.
    """
    look = read_rerank(run, changes)
    return None if look is None else SecondLook(look, open_stage(look, run, device))


def open_stage(look: RerankConfiguration, run: Path, device: str | None = None) -> SecondStage:
    """The second stage of these settings.

    Args:
        look: Settings of the second look.
        run: Of the first stage.
        device: As PyTorch calls it; None = a GPU where there is one.

    Returns:
        The stage: a language model where the settings name one, a cross-encoder otherwise.

    Raises:
        MelderError: The model is not to be had, or not trained.
    """
    opens = open_letters_stage if look.model is not None else open_cross_stage
    return opens(look, run, device)
