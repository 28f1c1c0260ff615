"""`melder mcp`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import counting, say
from melder.cli.options import Candidates, Language
from melder.records import MelderError

__all__ = ["mcp"]


def mcp(
    kb: Path = typer.Argument(metavar="KB", help="The directory of a knowledge base, or of a set of shards."),
    http: bool = typer.Option(False, "--http", help="Over HTTP on this machine; default: standard input and output."),
    port: int = typer.Option(8001, "--port", min=0, max=65535, help="With --http: the port; 0 = any that is free."),
    find: str = typer.Option("names", "--find", metavar="FINDER", help="What finds mentions; see melder list finders."),
    picture_dir: Path = typer.Option(
        None, "--picture-dir", exists=True, file_okay=False, help="A directory whose pictures an agent may name."
    ),
    candidates: Candidates = None,
    language: Language = None,
) -> None:
    """Give agents the tools link, find_mentions, get_entity and search_entities (Model Context Protocol).

    \b
    melder mcp flags-kb                  # as an agent starts it
    melder mcp flags-kb --http           # http://127.0.0.1:8001/mcp

    Needs the extra mcp. The tools only read; a knowledge base that is changed meanwhile is opened again.
    """
    try:
        from melder.integrations.agent_server import HOST, PATH, listen, server_of, web_server
    except ModuleNotFoundError as error:
        raise MelderError(f"melder mcp needs {error.name}: install it with `pip install 'melder[mcp]'`") from None
    from melder.integrations.agent_tools import AgentTools
    from melder.kb import is_knowledge_base

    if not is_knowledge_base(kb):
        raise MelderError(f"{kb}: is no knowledge base; make one with `melder kb build`")
    listener = listen(port) if http else None
    with counting() as start:
        tools = AgentTools(
            kb, candidates=candidates, language=language, finder=find, pictures=picture_dir, counting=start
        )
    server = server_of(tools, kb.resolve().name)
    if listener is None:
        server.run("stdio")
        return
    say(f"Tools for {kb} at http://{HOST}:{listener.getsockname()[1]}{PATH}")
    web_server(server).run(sockets=[listener])
