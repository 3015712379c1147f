"""Saved models: written by `Estimator.export_saved_model`, loaded here, without pickle.

An export is a folder:

    model.json            manifest: columns, network, head, inputs, signatures, sha256 of the files
    weights.safetensors   all variables under their TensorFlow names
    assets/               vocabulary files
    assets.extra/         files that the caller added
"""

from raydnn.export.loader import ExportedModel, load

__all__ = ["ExportedModel", "load"]
