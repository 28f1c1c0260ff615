"""`melder mcp` as agents use it: by the package's own client, over standard input and over HTTP."""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp", reason="needs melder[mcp]")

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import TextContent

from melder.building.build import add_entities
from melder.data import EntityFile
from melder.integrations.agent_server import HOST, PATH, listen, server_of, web_server
from melder.integrations.agent_tools import AgentTools
from melder.records import Entity, MelderError
from melder.runs.directory import open_model
from samples import unpacked

TOOLS = {"link", "find_mentions", "get_entity", "search_entities"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(3, tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def tools(sample: Path) -> AgentTools:
    return AgentTools(sample / "kb", pictures=sample / "data/images")


@pytest.fixture(scope="module")
def entity(sample: Path, tools: AgentTools) -> Entity:
    """One that has a name."""
    from melder.kb import open_knowledge_base

    with open_knowledge_base(sample / "kb") as base:
        return next(each for each in base.entities if each.name)


def called(server: Any, tool: str, **arguments: Any) -> Any:
    """The result of a tool, by a client."""

    async def call() -> Any:
        async with Client(server) as client:
            return await client.call_tool(tool, arguments)

    return anyio.run(call)


def test_the_tools_have_schemas_and_only_read(tools: AgentTools) -> None:
    async def listed() -> Any:
        async with Client(server_of(tools, "kb")) as client:
            return (await client.list_tools()).tools

    described = anyio.run(listed)
    assert {tool.name for tool in described} == TOOLS
    for tool in described:
        assert tool.description
        assert tool.annotations.read_only_hint
        assert tool.output_schema
        assert all(field.get("description") for field in tool.input_schema["properties"].values())


def test_what_a_text_names_is_found_linked_and_looked_up(tools: AgentTools, entity: Entity) -> None:
    server, text = server_of(tools, "kb"), f"I saw {entity.name} there"
    (found,) = called(server, "find_mentions", text=text).structured_content["result"]
    assert text[found["start"] : found["end"]] == found["mention"] == entity.name
    link = called(server, "link", text=text, mention=found["mention"], limit=2).structured_content
    assert (link["mention"], len(link["candidates"])) == (entity.name, 2)
    assert link["answer"] == (None if link["nil_probability"] >= 0.5 else link["candidates"][0]["id"])
    assert entity.id in {
        hit["id"] for hit in called(server, "search_entities", name=entity.name).structured_content["result"]
    }
    looked_up = called(server, "get_entity", id=entity.id)
    assert looked_up.structured_content["name"] == entity.name
    assert isinstance(looked_up.content[0], TextContent)


def test_a_picture_comes_as_base64_or_by_the_name_of_a_file(tools: AgentTools, sample: Path, entity: Entity) -> None:
    file = sample / "data/images/0.png"
    by_name = tools.link(entity.name, picture="0.png")
    encoded = base64.b64encode(file.read_bytes()).decode()
    assert by_name == tools.link(entity.name, picture=encoded)
    assert by_name == tools.link(entity.name, picture=f"data:image/png;base64,{encoded}")
    assert by_name != tools.link(entity.name)


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("link", {"text": "a fox", "mention": "wolf"}, "does not occur in the text"),
        ("link", {"text": " "}, "the mention is empty"),
        ("link", {"text": "x" * 20_001}, "20,001 characters"),
        ("link", {"text": "fox", "picture": "../kb/CURRENT"}, "not base64"),
        ("link", {"text": "fox", "picture": "aGVsbG8="}, "picture"),
        ("link", {"text": "fox", "types": ["no such type"]}, "no entity has the type"),
        ("link", {"text": "fox", "language": "?"}, "no tag of a language"),
        ("link", {"text": "fox", "limit": 0}, "ask for 1 to 50"),
        ("search_entities", {"name": "fox", "limit": 51}, "ask for 1 to 50"),
        ("get_entity", {"id": "nobody"}, "there is no entity 'nobody'"),
    ],
)
def test_mistakes_are_answered_with_one_sentence(
    tools: AgentTools, tool: str, arguments: dict[str, Any], words: str
) -> None:
    result = called(server_of(tools, "kb"), tool, **arguments)
    assert result.is_error
    assert words in result.content[0].text
    assert "\n" not in result.content[0].text


def test_a_change_of_the_knowledge_base_is_seen(sample: Path) -> None:
    tools = AgentTools(sample / "kb")
    assert tools.search_entities("Xanadu") == []
    source = EntityFile(sample / "data/entities.jsonl")
    xanadu = Entity(id="X", name="Xanadu", description="x" * 400)
    add_entities(sample / "kb", [xanadu], source, model=open_model(sample / "kb/model"))
    (found,) = tools.search_entities("Xanadu")
    assert (found.id, len(found.description)) == ("X", 300)
    assert tools.get_entity("X").description == xanadu.description
    assert [mention.mention for mention in tools.find_mentions("In Xanadu did Kubla Khan")] == ["Xanadu"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "melder", "mcp", *map(str, arguments)]


def test_a_client_starts_it_and_speaks_over_its_input_and_output(sample: Path, entity: Entity) -> None:
    program, *arguments = command(sample / "kb")
    environment = {name: os.environ[name] for name in ("PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
    server = stdio_client(StdioServerParameters(command=program, args=arguments, env=environment))
    result = called(server, "search_entities", name=entity.name, limit=1)
    assert not result.is_error
    assert result.structured_content["result"][0]["name"]


@pytest.fixture
def address(tools: AgentTools) -> Iterator[str]:
    listener, server = listen(0), web_server(server_of(tools, "kb"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://{HOST}:{listener.getsockname()[1]}{PATH}"
    server.should_exit = True
    thread.join()
    listener.close()


def test_it_answers_over_http_on_this_machine(address: str, entity: Entity) -> None:
    result = called(address, "get_entity", id=entity.id)
    assert result.structured_content["name"] == entity.name


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_another_name_for_this_machine_is_refused(address: str, headers: dict[str, str]) -> None:
    import httpx2

    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    assert httpx2.post(address, json=message, headers=accept | headers).status_code in (403, 421)


def test_only_a_knowledge_base_has_tools(tmp_path: Path) -> None:
    from melder.cli import app

    with pytest.raises(MelderError, match="is no knowledge base"):
        app(["mcp", str(tmp_path)], standalone_mode=False)
