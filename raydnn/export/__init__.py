"""Saved models: written by `Estimator.export_saved_model`, loaded here, without pickle.

An export is a folder:

    model.json            manifest: the model, inputs, signatures, sha256 of the files
    weights.safetensors   all variables under their TensorFlow names
    assets/               vocabulary files
    assets.extra/         files that the caller added
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raydnn.estimator.exported_model import ExportedModel, load

__all__ = ["ExportedModel", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'raydnn.export' has no attribute '{name}'")
    # By name: the format of exports stands below the estimator, and a loaded model is one of its model functions.
    return getattr(import_module("raydnn.estimator.exported_model"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
