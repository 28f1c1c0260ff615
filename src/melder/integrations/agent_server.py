"""The tools of a knowledge base over the Model Context Protocol: `pip install 'melder[mcp]'`.

Over standard input and output, as agents start their tools, or over HTTP on this machine only.
https://modelcontextprotocol.io
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio.to_thread
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

import melder
from melder.integrations.agent_tools import AgentTools, EntityAnswer, LinkAnswer, MentionAnswer
from melder.records import MelderError

__all__ = ["HOST", "PATH", "listen", "server_of", "web_server"]

HOST, PATH = "127.0.0.1", "/mcp"  # other machines have no business with an agent's tools
INSTRUCTIONS = (
    "Links words of a text, perhaps with a picture, to the entities of a knowledge base. Use find_mentions to see what "
    "a text names, link to learn which entity is meant, search_entities and get_entity to look entities up. When the "
    "answer of link is null, none of the entities is meant."
)
Answer = TypeVar("Answer")
READING = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

Text = Annotated[str, Field(description="the text, 20,000 characters at most")]
Words = Annotated[
    str | None, Field(description="the words of the text that are meant, letter by letter; left out: all of the text")
]
Picture = Annotated[
    str | None, Field(description="a picture that goes with the text: base64, a data URI, or a name in --picture-dir")
]
Limit = Annotated[int, Field(description="entities in the answer, 1 to 50")]
Types = Annotated[list[str], Field(description="only entities of any of these types; empty: of all")]
Tag = Annotated[str | None, Field(description="the language of the text, such as de; entities are then named in it")]


def server_of(tools: AgentTools, name: str) -> MCPServer[Any]:
    """A server of four tools, each of which only reads.

    Args:
        tools: Of one knowledge base.
        name: What programs call the server.

    Returns:
        The server, which nothing runs yet.
    """
    server: MCPServer[Any] = MCPServer(
        f"melder: {name}", version=melder.__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    @server.tool(annotations=READING)
    async def link(
        text: Text,
        mention: Words = None,
        picture: Picture = None,
        limit: Limit = 5,
        types: Types = [],  # noqa: B006
        language: Tag = None,
    ) -> LinkAnswer:
        """Which entity words of a text mean: the id of the answer, null for none, and candidates with scores."""
        return await _called(partial(tools.link, text, mention, picture, limit, types, language))

    @server.tool(annotations=READING)
    async def find_mentions(text: Text) -> list[MentionAnswer]:
        """Where a text names entities of the knowledge base; places count characters (code points) from 0."""
        return await _called(partial(tools.find_mentions, text))

    @server.tool(annotations=READING)
    async def get_entity(id: Annotated[str, Field(description="its id, as other tools give it")]) -> EntityAnswer:
        """Name, description, types and other names of an entity."""
        return await _called(partial(tools.get_entity, id))

    @server.tool(annotations=READING)
    async def search_entities(
        name: Annotated[str, Field(description="a name, or the beginning of one")], limit: Limit = 5
    ) -> list[EntityAnswer]:
        """Entities by name: those of just this name first."""
        return await _called(partial(tools.search_entities, name, limit))

    return server


async def _called(tool: Callable[[], Answer]) -> Answer:
    """What a tool answers; what its caller can put right is an error of the tool with one sentence."""
    with _said_to_the_agent():
        return await anyio.to_thread.run_sync(tool)


@contextmanager
def _said_to_the_agent() -> Iterator[None]:
    try:
        yield
    except MelderError as error:
        raise ToolError(str(error)) from None


def listen(port: int) -> socket.socket:
    """A socket of this machine.

    Args:
        port: Of this machine; 0 = any that is free.

    Returns:
        The socket, bound to this machine alone.

    Raises:
        MelderError: The port is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise MelderError(f"{HOST} port {port}: {error.strerror}; choose another with --port") from None


def web_server(server: MCPServer[Any]) -> uvicorn.Server:
    """What answers over HTTP; requests that name another host are refused (DNS rebinding).

    Args:
        server: What `server_of` made.

    Returns:
        The server, which nothing runs yet.
    """
    app = server.streamable_http_app(host=HOST, streamable_http_path=PATH)
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
