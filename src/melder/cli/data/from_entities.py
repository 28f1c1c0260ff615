"""`melder data from-entities`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import counting, finish, say
from melder.cli.options import EntityText, TextField
from melder.io.counts import how_many

__all__ = ["from_entities"]


def from_entities(
    source: Path = typer.Argument(metavar="IN", help="A data set (only its entities are read), or a knowledge base."),
    out: Path = typer.Argument(metavar="OUT", help="A new or empty directory."),
    mentions: int = typer.Option(8, "--mentions", min=1, help="Mentions of each entity."),
    seed: int = typer.Option(0, "--seed", min=0, help="Of all that is drawn."),
    views: bool = typer.Option(True, help="Show an entity's only picture as random views, or as it is."),
    layout: str = typer.Option("auto", "--layout", help="Its name (melder list layouts), or auto."),
    text_field: EntityText = TextField.desc,
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Make mentions from entities: what `melder train --from-kb` trains on, to look at or to change.

    Names, aliases and parts of them stand within sentences of the entity's own description, beside one of its
    pictures. What a mention shows is not in the entity that is written beside it.

    \b
    melder data from-entities flags made
    melder data from-entities my-kb made --mentions 20 --seed 7
    """
    from melder.runs.model_configuration import DataConfiguration
    from melder.training.from_entities import write_made

    data = DataConfiguration(directory=source, layout=layout, text_field=text_field.value, skip_bad=skip_bad)
    with counting() as start:
        made = write_made(data, out, mentions, seed, views=views, counting=start)
    made_of = f"{how_many(made.mentions, 'mention')}, {how_many(made.views, 'view')} of pictures"
    say(f"{out}: {made_of}. Next: melder data info {out}")
    finish(made.skipped, list(made.unreadable.values()))
