"""The command line: one command a file, heavy imports inside the commands."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from melder.cli.audit import audit
from melder.cli.calibrate import calibrate
from melder.cli.compare import compare
from melder.cli.console import errors
from melder.cli.convert import convert
from melder.cli.data import data
from melder.cli.demo import demo
from melder.cli.evaluate import evaluate
from melder.cli.experiment import experiment
from melder.cli.features import features
from melder.cli.init import init
from melder.cli.kb import kb
from melder.cli.link import link
from melder.cli.list import list_parts
from melder.cli.mcp import mcp
from melder.cli.report import report
from melder.cli.rerank import rerank
from melder.cli.serve import serve
from melder.cli.train import train
from melder.records import MelderError

__all__ = ["app", "main"]

UsageError: Any = typer.BadParameter.__bases__[0]  # click's, or that of the copy of click that Typer brings
FULL = re.compile("No space left on device|Disk quota exceeded|File too large")
TERMINATED, INTERRUPTED = 128 + signal.SIGTERM, 128 + signal.SIGINT  # exit statuses, as a shell has them


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever stops a command so gets what Ctrl+C gets, and the line that says so."""


class Commands(TyperGroup):
    """Melder's commands; one that is stopped says so, which Typer's own would not."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            terminated = isinstance(stop, Terminated)
            said = "stopped by SIGTERM" if terminated else "stopped"
            errors.print(f"{said}; {stop}" if str(stop) else said, markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from None


app = typer.Typer(
    name="melder",
    cls=Commands,
    help="Link mentions in text and pictures to the entities of a knowledge base.",
    epilog="Exit status: 0 done; 1 a defect of Melder; 2 a mistake in what was given; 3 done, but for bad records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("init")(init)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("calibrate")(calibrate)
app.command("rerank")(rerank)
app.command("compare")(compare)
app.command("experiment")(experiment)
app.command("report")(report)
app.command("link")(link)
app.command("serve")(serve)
app.command("mcp")(mcp)
app.command("features")(features)
app.command("convert")(convert)
app.command("audit")(audit)
app.command("list")(list_parts)
app.add_typer(data, name="data")
app.add_typer(kb, name="kb")


@app.callback(invoke_without_command=True)
def _common(version: bool = typer.Option(False, "--version", help="Print Melder's version and leave.")) -> None:
    if version:
        import melder

        typer.echo(f"melder {melder.__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; a user's mistake is one line on standard error and exit status 2."""
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text
            sys.stdout.reconfigure(errors="backslashreplace")
        _check_encoding(sys.argv[1:])
        with _terminable():
            status = app(standalone_mode=False, prog_name="melder")
        sys.exit(status if isinstance(status, int) else 0)
    except UsageError as error:
        _leave_misused(error)
    except MelderError as error:
        _leave(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if (reason := _of_the_disk(error)) is None:
            raise
        _leave(f"{getattr(error, 'filename', None) or 'writing'}: {reason}; name another place, or make room there")


def _check_encoding(arguments: Sequence[str]) -> None:
    """Refuse what is no text, since its bytes are not of the system's encoding; a file may have such a name."""
    for argument in arguments:
        if not argument.isascii() and _has_stray_bytes(argument) and not os.path.lexists(argument):
            shown, encoding = ascii(argument), sys.getfilesystemencoding()
            raise MelderError(f"argument {shown}: is no text in {encoding}, as the system is set; write it so")


def _has_stray_bytes(argument: str) -> bool:
    """Whether Python could not decode some of its bytes, for which half of a surrogate pair then stands (PEP 383)."""
    return any("\ud800" <= character <= "\udfff" for character in argument)


def _of_the_disk(error: Exception) -> str | None:
    """Why the system does not read or write; libraries tell of a full disk each in its way. None: another error."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror
    full = FULL.search(str(error))
    return None if full is None else full[0]


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated`; signals are the main thread's to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def _leave_misused(error: Any) -> None:
    """A command that was called wrongly, in the style of every other mistake; called with nothing it has shown its
    help."""
    if message := error.format_message():
        message = message.replace("Value error, ", "")  # the validator's own words, before the reason
        command = error.ctx.command_path if error.ctx is not None else "melder"
        _leave(f"{message.rstrip('.')}; {command} --help says how")
    sys.exit(2)


def _leave(message: str) -> None:
    errors.print(f"melder: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
