"""`melder serve`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from melder.cli.console import counting, say
from melder.cli.options import Candidates, Changes, Language
from melder.languages import AS_WRITTEN
from melder.records import MelderError, languages_of

__all__ = ["serve"]

SHORTEST = 16  # characters of a token: too many to try


def serve(
    path: Path = typer.Argument(metavar="KB|RUN", help="A knowledge base or a set of shards, or a run's directory."),
    data: Path = typer.Option(None, "--data", help="With a run: the data set whose entities are searched."),
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen at; 0.0.0.0 = for other machines too."),
    port: int = typer.Option(8000, "--port", min=0, max=65535, help="The port to listen at; 0 = any that is free."),
    token_file: Path = typer.Option(None, "--token-file", help="A file with the token that allows changes."),
    public_url: str = typer.Option(None, "--public-url", help="Where clients reach the service, behind a proxy."),
    find: str = typer.Option(
        "names",
        "--find",
        metavar="FINDER",
        help="What finds mentions when none are given: names, names:none or spacy:PIPELINE; see melder list finders.",
    ),
    picture_hosts: list[str] = typer.Option(
        [], "--picture-host", help="A host that pictures may be fetched from; .example.org = with all below it."
    ),
    picture_dir: Path = typer.Option(
        None,
        "--picture-dir",
        exists=True,
        file_okay=False,
        help="A directory whose pictures clients may name by their files' names, as a column of a table does.",
    ),
    entity_uri: str = typer.Option(None, "--entity-uri", help="What stands before an entity's id in NIF."),
    limits: list[str] = typer.Option([], "--limit", help="A limit of the service, such as queue=64."),
    candidates: Candidates = None,
    language: Language = None,
    settings: Changes = [],  # noqa: B006
    log: Path = typer.Option(
        None,
        "--log",
        dir_okay=False,
        help="A file that the texts and mentions linked are added to; see docs/serving.md.",
    ),
) -> None:
    """Serve links over HTTP: POST /link, and /reconcile for OpenRefine.

    \b
    melder serve flags-kb
    melder serve runs/flags --data flags
    curl 127.0.0.1:8000/link -d '{"text": "Guinea won the toss", "mentions": [{"start": 0, "end": 6}]}'

    Stops on Ctrl+C or SIGTERM, when what has begun is answered. See docs/serving.md.
    """
    try:
        from melder import serving
        from melder.mentions.resolver import open_finder
        from melder.serving.opening import source_of
    except ModuleNotFoundError as error:
        raise MelderError(f"the service needs {error.name}: install it with `pip install 'melder[serve]'`") from None
    from melder.runs.configuration_file import checked, override

    options = {
        "token": _token(token_file),
        "public_url": public_url,
        "hosts": _names(host, public_url, serving.LOOPBACK),
        "picture_hosts": tuple(picture_hosts),
        "picture_dir": picture_dir,
        "log": log,
        "entity_uri": entity_uri,
    }
    given = override({}, limits)
    _check_limits(given, options)
    allowed = checked(
        serving.ServiceSettings, {name: each for name, each in options.items() if each} | given, "melder serve"
    )
    languages = AS_WRITTEN if language is None else languages_of(language)
    source, finder = source_of(path, data, settings, candidates, languages), open_finder(find)
    listener = serving.listen(host, port)
    with counting() as start:
        app = serving.create_application(source, source.open(start), allowed, finder=finder)
    address = f"[{host}]" if ":" in host else host
    say(f"Serving {path} at http://{address}:{listener.getsockname()[1]}")
    serving.run(app, listener, allowed)


def _check_limits(given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raises MelderError for what has an option of its own; a token in particular must not stand on a command line."""
    for name in given:
        if name == "hosts":
            raise MelderError("--limit hosts: names come from --host and --public-url")
        if name in options:
            own = {"token": "token-file", "picture_hosts": "picture-host"}.get(name, name.replace("_", "-"))
            raise MelderError(f"--limit {name}: is no limit; give it with --{own}")


def _names(host: str, public_url: str | None, loopback: tuple[str, ...]) -> tuple[str, ...]:
    """Names that the service answers to; every name when it listens for other machines."""
    if host not in ("127.0.0.1", "localhost", "::1"):
        return ()
    return (*loopback, *filter(None, [urlsplit(public_url or "").hostname]))


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise MelderError(f"{file}: cannot be read ({error.strerror}); name a file that holds a token") from None
    except UnicodeDecodeError:
        raise MelderError(f"{file}: holds more than ASCII; make a token with `openssl rand -hex 32`") from None
    if len(token) < SHORTEST or not token.isprintable() or " " in token:
        raise MelderError(
            f"{file}: a token is one word of {SHORTEST} characters or more; make one with `openssl rand -hex 32`"
        )
    return token
