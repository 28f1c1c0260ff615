"""Draw a data set, train M3EL on it, measure it against name match: python examples/train_and_evaluate.py

The same on a command line: melder data flags, melder train, melder evaluate. A few minutes of
training (`melder demo`) do far better than these seconds.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from melder.data.flags import write_flags
from melder.evaluation.evaluate import evaluate_run
from melder.training.configuration import Configuration
from melder.training.loop.train import train


def quiet(title: str, total: int):
    """Takes the place of a progress bar."""
    return lambda done: None


with TemporaryDirectory() as directory:
    data, run = Path(directory, "flags"), Path(directory, "run")
    write_flags(data, train=120, held_out=40)
    configuration = Configuration.model_validate(
        {
            "data": {"directory": str(data)},
            "encoder": {"name": "clip:compact", "trained": True, "text_length": 32},
            "method": {"name": "m3el", "hidden": 32, "image_width": 32},
            "training": {"epochs": 1, "batch_size": 40, "learning_rate": 1e-3, "seed": 43},
        }
    )
    train(configuration, run)
    figures = evaluate_run(run, data, "test", counting=quiet).figures
    print(f"{figures['mentions']} mentions, {figures['candidates']} candidates")
    print(f"H@1 {figures['hits@1']:.3f}, of names alone {figures['name_match']['hits@1']:.3f}")
