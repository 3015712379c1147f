"""What an exported model gives, under the names of `tf.estimator.export`.

Values are tensors or NumPy arrays of one batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

CLASSIFY, REGRESS, PREDICT = "classify", "regress", "predict"
DEFAULT_SIGNATURE = "serving_default"


class ExportOutput(ABC):
    """The outputs of one signature.

    Attributes:
        kind: 'classify', 'regress' or 'predict'.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def values(self) -> dict[str, Any]:
        """Output name -> tensor or array [rows, ...]."""


class ClassificationOutput(ExportOutput):
    """Scores and classes.

    Args:
        scores: floats [rows, classes], or None.
        classes: text [rows, classes], or None.

    Raises:
        ValueError: both are None, scores are no floats, or classes are no text.
    """

    kind = CLASSIFY

    def __init__(self, scores: Any = None, classes: Any = None) -> None:
        if scores is None and classes is None:
            raise ValueError("ClassificationOutput needs scores or classes")
        if scores is not None and not _is_float(scores):
            raise ValueError(f"scores must be a float tensor; got {scores!r}")
        if classes is not None and not _is_text(classes):
            raise ValueError(f"classes must be an array of strings; got {classes!r}")
        self.scores = scores
        self.classes = classes

    @property
    def values(self) -> dict[str, Any]:
        given = {"classes": self.classes, "scores": self.scores}
        return {name: value for name, value in given.items() if value is not None}


class RegressionOutput(ExportOutput):
    """One number a row.

    Args:
        value: floats [rows, ...].

    Raises:
        ValueError: it is no float tensor.
    """

    kind = REGRESS

    def __init__(self, value: Any) -> None:
        if not _is_float(value):
            raise ValueError(f"value must be a float tensor; got {value!r}")
        self.value = value

    @property
    def values(self) -> dict[str, Any]:
        return {"outputs": self.value}


class PredictOutput(ExportOutput):
    """Any outputs by name.

    Args:
        outputs: name -> tensor or array; a single one is called 'output'.

    Raises:
        ValueError: a name that is no string, a value that is neither tensor nor array, or none at all.
    """

    kind = PREDICT

    def __init__(self, outputs: Any) -> None:
        self.outputs = dict(outputs) if isinstance(outputs, Mapping) else {"output": outputs}
        if not self.outputs:
            raise ValueError("PredictOutput needs outputs")
        for name, value in self.outputs.items():
            if not isinstance(name, str):
                raise ValueError(f"names of outputs must be strings; got {name!r}")
            if not isinstance(value, torch.Tensor | np.ndarray):
                raise ValueError(f"output '{name}' must be a tensor or an array; got {value!r}")

    @property
    def values(self) -> dict[str, Any]:
        return self.outputs


def checked_outputs(export_outputs: Any, predictions: Any) -> dict[str, ExportOutput]:
    """The outputs of a model by signature.

    Args:
        export_outputs: as a model function gave them; None means its predictions.
        predictions: tensor, array, or dict of these.

    Returns:
        With an entry 'serving_default'.

    Raises:
        TypeError: not a dict of ExportOutput.
        ValueError: several outputs of which none is called 'serving_default'.
    """
    if export_outputs is None:
        return {DEFAULT_SIGNATURE: PredictOutput(predictions)}
    if not isinstance(export_outputs, dict):
        raise TypeError(f"export_outputs must be a dict of name -> ExportOutput; got {export_outputs!r}")
    for name, output in export_outputs.items():
        if not isinstance(output, ExportOutput):
            raise TypeError(f"export_outputs['{name}'] must be an ExportOutput; got {output!r}")
    if len(export_outputs) == 1:
        (only,) = export_outputs.values()
        return {**export_outputs, DEFAULT_SIGNATURE: only}
    if DEFAULT_SIGNATURE not in export_outputs:
        raise ValueError(
            f"export_outputs has {', '.join(map(repr, export_outputs))}; one must be called {DEFAULT_SIGNATURE!r}"
        )
    return dict(export_outputs)


def _is_float(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _is_text(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "OSU"
