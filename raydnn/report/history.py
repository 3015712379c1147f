"""What the event files of a model_dir tell of its training."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from raydnn import storage
from raydnn.report.curves import Curve
from raydnn.tracking.event_file import read_scalars

RATE = "global_step/sec"


@dataclass(frozen=True)
class History:
    """Values over steps.

    Attributes:
        train: tag -> curve over global steps, of what training has written.
        evaluations: name of an evaluation, '' for the one without -> tag -> curve.
    """

    train: Mapping[str, Curve] = field(default_factory=dict)
    evaluations: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)


def read_history(model_dir: str) -> History:
    """The history of a model: of all calls of `train` and `evaluate`; for a step that was made again the later value.

    Args:
        model_dir: local or any fsspec URL; without event files the history is empty.
    """
    names = [name for name in storage.list_folder(model_dir) if name == "eval" or name.startswith("eval_")]
    evaluations = {name[len("eval_") :]: _curves(storage.join(model_dir, name)) for name in names}
    return History(_curves(model_dir), {name: curves for name, curves in evaluations.items() if curves})


def _curves(folder: str) -> dict[str, Curve]:
    scalars = read_scalars(folder)
    points: dict[str, list[tuple[int, float]]] = {}
    for step in sorted(scalars):
        for tag, value in scalars[step].items():
            points.setdefault(tag, []).append((step, value))
    curves = {tag: np.array(found, np.float64).T for tag, found in points.items()}
    return {tag: Curve(steps, values) for tag, (steps, values) in curves.items()}
