"""`melder demo`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from melder.cli.console import console, counting, metrics_table, say, say_validation
from melder.cli.link import candidates_table

if TYPE_CHECKING:
    from melder.evaluation.evaluate import Evaluation
    from melder.protocols import Counting

__all__ = ["demo"]

INPUTS = {"text only": ("text",), "picture only": ("image",), "text and picture": ("text", "image")}
# The first test picture of three of these is shown, right or wrong.
SURFACES = ("Guinea", "Korea", "the tricolour", "Congo", "Sudan", "the Nordic cross", "the islanders")
SHOWN = 3
SERVE_FIRST = "Try it in a browser, at http://127.0.0.1:8000, with some packages more:"


def demo(
    out: Path = typer.Option(Path("melder-demo"), "--out", help="Where data, run and report go."),
    seed: int = typer.Option(0, "--seed", help="Of the photographs and sentences."),
) -> None:
    """Draw a data set of national flags, train M3EL on it from scratch, and show what it can do.

    Takes some minutes on two cores and needs no network. Stopped at any moment, the same command goes on.
    """
    from melder.runs.directory import is_finished_run

    data, run = out / "flags", out / "run"
    with _going_on(), counting() as start:
        _draw(data, seed, start)
        if not is_finished_run(run):
            say("Training M3EL and a small CLIP on them from scratch …")
            _train(data, run, start)
        say("Linking the test photographs …")
        results = _evaluate(run, data, start)
        _write_report(results, out)
    _show(results)
    _say_what_next(out, results["text and picture"])


@contextmanager
def _going_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)("the same command goes on where it stopped") from None


def _draw(data: Path, seed: int, start: Counting) -> None:
    from melder.data.flags import is_drawn, write_flags

    if not is_drawn(data):
        say("Drawing flags and photographing them …")
        write_flags(data, seed=seed, counting=start)


def _train(data: Path, run: Path, start: Counting) -> None:
    from melder.encoders import has_bf16
    from melder.runs.directory import run_device
    from melder.training.configuration import read_configuration
    from melder.training.loop.train import train

    fastest = "bf16" if has_bf16(run_device()) else "float32"
    with as_file(files("melder.training").joinpath("demo.yaml")) as recipe:
        configuration = read_configuration(recipe, [f"data.directory={data}", f"encoder.precision={fastest}"])
    train(configuration, run, counting=start, on_validation=say_validation)


def _evaluate(run: Path, data: Path, start: Counting) -> dict[str, Evaluation]:
    """The test mentions as they are, without their pictures, and without their texts."""
    from melder.data import load
    from melder.evaluation.evaluate import describe, evaluate
    from melder.linking import ExactLinker, open_run

    model, configuration = open_run(run)
    dataset = load(data)
    mentions = dataset.split("test")
    progress = start("evaluating", len(INPUTS) * (len(dataset.entities) + len(mentions)))
    results = {}
    for name, modalities in INPUTS.items():
        linker = ExactLinker(model, dataset, modalities=modalities, progress=progress)
        results[name] = evaluate(linker, mentions, progress=progress)
        results[name].figures |= describe(run, configuration, dataset, dataset, "test")
    return results


def _chosen(result: Evaluation) -> list[int]:
    """The rows of the mentions that are shown."""
    surfaces = [mention.surface if mention.image else None for mention in result.mentions]
    return [surfaces.index(surface) for surface in SURFACES if surface in surfaces][:SHOWN]


def _write_report(results: dict[str, Evaluation], out: Path) -> None:
    from melder.evaluation.report import write_report

    both = results["text and picture"]
    modalities = {name: result.figures for name, result in results.items()}
    page = both.page("Flags of the world", chosen=_chosen(both), modalities=modalities)
    write_report(out / "report.html", page)


def _show(results: dict[str, Evaluation]) -> None:
    both = results["text and picture"]
    rows = {"name match": both.figures["name_match"], **{name: result.figures for name, result in results.items()}}
    console.print(metrics_table(f"Test photographs, {both.figures['candidates']} flags", rows))
    for row in _chosen(both):
        mention = both.mentions[row]
        title = f"{mention.surface!r} in {mention.text!r}, picture {mention.image}, answer {mention.answer}"
        answer = both.links[row]
        console.print(candidates_table(answer.model_copy(update={"candidates": answer.candidates[:5]}), title))


def _say_what_next(out: Path, result: Evaluation) -> None:
    mention = next(mention for mention in result.mentions if mention.image is not None)
    run, data, picture = (quote(str(out / name)) for name in ("run", "flags", f"flags/{mention.image}"))
    program = _program()
    say(f"The report with the pictures: {out / 'report.html'}")
    say("Try it in a browser, at http://127.0.0.1:8000:" if _serves() else SERVE_FIRST)
    say(f"  {_install()}{program} serve {run} --data {data}")
    say("Link a sentence and a picture of your own:")
    say(f"  {program} link {run} --data {data} --image {picture} \\")
    say(f"    --text {quote(mention.text)} --mention {quote(mention.surface)}")
    say("Your own records in the same four files (docs/data.md) train in the same way:")
    say(f"  {program} train my.yaml --out my-run")


def _program() -> str:
    """Melder as it was called: in an environment that is not active, no `melder` is found."""
    return quote(sys.argv[0]) if Path(sys.argv[0]).name == "melder" else "melder"


def _serves() -> bool:
    return find_spec("fastapi") is not None and find_spec("uvicorn") is not None


def _install() -> str:
    """What stands before the command that serves where the packages for it are not there yet."""
    return "" if _serves() else f"{quote(sys.executable)} -m pip install 'melder[serve]' && "
