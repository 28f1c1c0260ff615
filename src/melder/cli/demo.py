"""`melder demo`"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from melder.cli.console import console, counting, metrics_table, say, tell_look
from melder.cli.link import candidates_table

if TYPE_CHECKING:
    from melder.evaluation.evaluate import Evaluation

__all__ = ["demo"]

INPUTS = {"text only": ("text",), "picture only": ("image",), "text and picture": ("text", "image")}
# The first test picture of three of these is shown, right or wrong.
SURFACES = ("Guinea", "Korea", "the tricolour", "Congo", "Sudan", "the Nordic cross", "the islanders")
SHOWN = 3


def demo(
    out: Path = typer.Option(Path("melder-demo"), "--out", help="Where data, run and report go."),
    seed: int = typer.Option(0, "--seed", help="Of the photographs and sentences."),
) -> None:
    """Draw a data set of national flags, train M3EL on it from scratch, and show what it can do.

    Takes some minutes on two cores and needs no network. Steps that are done already are not done again.
    """
    data, run = out / "flags", out / "run"
    if not (data / "test.jsonl").is_file():
        from melder.data.flags import write_flags

        say("Drawing flags and photographing them …")
        with counting() as start:
            write_flags(data, seed=seed, counting=start)
    if not (run / "environment.json").is_file():
        say("Training M3EL and a small CLIP on them from scratch …")
        _train(data, run)
    results = _evaluate(run, data)
    _show(results, out)
    _say_what_next(out, results["text and picture"])


def _train(data: Path, run: Path) -> None:
    from melder.encoders import has_bf16
    from melder.runs.directory import run_device
    from melder.training.configuration import read_configuration
    from melder.training.progress import StepProgress
    from melder.training.train import train

    fastest = "bf16" if has_bf16(run_device()) else "float32"
    with as_file(files("melder.training").joinpath("demo.yaml")) as recipe:
        configuration = read_configuration(recipe, [f"data.directory={data}", f"encoder.precision={fastest}"])
    with counting() as start:
        train(configuration, run, counting=start, told=tell_look, callbacks=[StepProgress(start)])


def _evaluate(run: Path, data: Path) -> dict[str, Evaluation]:
    """The test mentions as they are, without their pictures, and without their texts."""
    from melder.data import load
    from melder.evaluation.evaluate import describe, evaluate
    from melder.linking import ExactLinker, open_run

    model, configuration = open_run(run)
    dataset = load(data)
    results = {}
    for name, modalities in INPUTS.items():
        linker = ExactLinker(model, dataset, modalities=modalities)
        results[name] = evaluate(linker, dataset.split("test"))
        results[name].figures |= describe(run, configuration, dataset, dataset, "test")
    return results


def _show(results: dict[str, Evaluation], out: Path) -> None:
    from melder.evaluation.report import write_report

    both = results["text and picture"]
    surfaces = [mention.surface if mention.image else None for mention in both.mentions]
    chosen = [surfaces.index(surface) for surface in SURFACES if surface in surfaces][:SHOWN]
    rows = {"name match": both.figures["name_match"], **{name: each.figures for name, each in results.items()}}
    console.print(metrics_table(f"Test photographs, {both.figures['candidates']} flags", rows))
    for row in chosen:
        mention = both.mentions[row]
        title = f"{mention.surface!r} in {mention.text!r}, picture {mention.image}, answer {mention.answer}"
        answer = both.links[row]
        console.print(candidates_table(answer.model_copy(update={"candidates": answer.candidates[:5]}), title))
    modalities = {name: each.figures for name, each in results.items()}
    write_report(out / "report.html", both.page("Flags of the world", chosen=chosen, modalities=modalities))


def _say_what_next(out: Path, result: Evaluation) -> None:
    mention = next(mention for mention in result.mentions if mention.image is not None)
    say(f"The report with the pictures: {out / 'report.html'}")
    say("Link a sentence and a picture of your own:")
    run, data, picture = (quote(str(out / name)) for name in ("run", "flags", f"flags/{mention.image}"))
    say(f"  melder link {run} --data {data} --image {picture} \\")
    say(f"    --text {quote(mention.text)} --mention {quote(mention.surface)}")
    say("Your own records in the same four files (docs/data.md) train in the same way:")
    say("  melder train my.yaml --out my-run")
