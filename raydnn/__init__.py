"""raydnn: the estimators of TensorFlow 1, for tabular and click-through models, on PyTorch and Ray.

    import raydnn

    classifier = raydnn.DNNClassifier([64, 32], [raydnn.feature_column.numeric_column("age")])

Names are loaded when they are first used: `import raydnn` alone brings in neither torch nor Ray.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raydnn import (
        config,
        errors,
        estimator,
        export,
        feature_column,
        initializers,
        inputs,
        layers,
        losses,
        metrics,
        report,
        summary,
        train,
        tune,
    )
    from raydnn.estimator import DNNClassifier, Estimator, EstimatorSpec, ModeKeys, RunConfig
    from raydnn.inputs import SparseTensor
    from raydnn.model.partitioners import (
        fixed_size_partitioner,
        min_max_variable_partitioner,
        variable_axis_size_partitioner,
    )
    from raydnn.tracking.settings import MLflowSettings
    from raydnn.train.checkpoint import import_tf_checkpoint
    from raydnn.train.run_context import get_module

try:
    __version__ = version("raydnn")
except PackageNotFoundError:
    __version__ = "0.0.0"

__all__ = [
    "DNNClassifier",
    "Estimator",
    "EstimatorSpec",
    "MLflowSettings",
    "ModeKeys",
    "RunConfig",
    "SparseTensor",
    "config",
    "errors",
    "estimator",
    "export",
    "feature_column",
    "fixed_size_partitioner",
    "get_module",
    "import_tf_checkpoint",
    "initializers",
    "inputs",
    "layers",
    "losses",
    "metrics",
    "min_max_variable_partitioner",
    "report",
    "summary",
    "train",
    "tune",
    "variable_axis_size_partitioner",
]

_HOMES = {
    "DNNClassifier": "raydnn.estimator",
    "Estimator": "raydnn.estimator",
    "EstimatorSpec": "raydnn.estimator",
    "MLflowSettings": "raydnn.tracking.settings",
    "ModeKeys": "raydnn.estimator",
    "RunConfig": "raydnn.estimator",
    "SparseTensor": "raydnn.inputs",
    "fixed_size_partitioner": "raydnn.model.partitioners",
    "get_module": "raydnn.train.run_context",
    "import_tf_checkpoint": "raydnn.train.checkpoint",
    "min_max_variable_partitioner": "raydnn.model.partitioners",
    "variable_axis_size_partitioner": "raydnn.model.partitioners",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'raydnn' has no attribute '{name}'")
    home = _HOMES.get(name)
    value = import_module(f"raydnn.{name}") if home is None else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
