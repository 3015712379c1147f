"""Exporting a model: what its function gives in each mode becomes signatures, its variables become weights."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model_fn import DNNModelFn, ModelFn
from raydnn.estimator.served_model import ServedModel
from raydnn.export.manifest import ExportManifest
from raydnn.export.receivers import ServingInputReceiver, SupervisedInputReceiver
from raydnn.export.signatures import Signature, serving_signatures, supervised_signature
from raydnn.export.writer import write_export
from raydnn.train.checkpoint import VariableReader

MODES = (ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT)


def export_model(
    model_fn: ModelFn,
    params: Mapping[str, Any],
    config: Any,
    receiver_fns: Mapping[str, Callable[[], Any]],
    reader: VariableReader,
    export_dir_base: str,
    assets_extra: Mapping[str, str] | None = None,
) -> str:
    """Write an export with the signatures of one mode or several.

    Args:
        model_fn, params, config: of the estimator.
        receiver_fns: mode -> function that gives the receiver.
        reader: gives the values of the variables.
        export_dir_base: folder in which the export's folder is made.
        assets_extra: relative path -> file to copy to `assets.extra/PATH`.

    Returns:
        The path of the export.

    Raises:
        ValueError: no known mode, a receiver of a wrong kind or without a feature that the model reads, a model that
            cannot be written, or a variable that the checkpoint lacks.
        InvalidArgumentError: a variable has another shape in the checkpoint.
        NotFoundError: an extra asset is not there.
    """
    modes = [mode for mode in MODES if mode in receiver_fns]
    if not modes:
        known = ", ".join(map(repr, MODES))
        raise ValueError(f"receivers must be given for some of the modes {known}; got {', '.join(receiver_fns)}")
    description = _description(model_fn, params)
    signatures: dict[str, Signature] = {}
    # As in TensorFlow the first mode decides: a model made for training has slots, one for serving has none.
    weights: dict[str, NDArray[Any]] = {}
    for mode in modes:
        receiver = receiver_fns[mode]()
        if mode == ModeKeys.PREDICT:
            if not isinstance(receiver, ServingInputReceiver):
                raise ValueError(f"serving_input_receiver_fn must return a ServingInputReceiver; got {receiver!r}")
            served = ServedModel(model_fn, params, config, mode, receiver.features, None, receiver.takes_tensor, reader)
            weights = weights or served.variables()
            signatures |= serving_signatures(receiver, served.export_outputs(None))
        else:
            if not isinstance(receiver, SupervisedInputReceiver):
                raise ValueError(f"mode {mode!r} needs a SupervisedInputReceiver; got a {type(receiver).__name__}")
            features = {**receiver.features, **receiver.labels}
            served = ServedModel(model_fn, params, config, mode, features, receiver.label, False, reader)
            weights = weights or served.variables()
            signatures[mode] = supervised_signature(mode, receiver, served.supervised_outputs(None))
    return write_export(
        ExportManifest(reader.global_step, description, signatures, {}), weights, export_dir_base, assets_extra
    )


def _description(model_fn: ModelFn, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the model is made of, as plain values.

    Raises:
        ValueError: columns, an activation or params that cannot be written.
    """
    if isinstance(model_fn, DNNModelFn):
        return {"classifier": model_fn.to_json()}
    try:
        plain = json.loads(json.dumps(dict(params)))
    except TypeError as error:
        raise ValueError(f"params of an exported model must be plain values: {error}") from error
    if plain != dict(params):
        raise ValueError(
            f"params of an exported model must be JSON's values, with strings as keys and lists for tuples; {params!r} "
            f"would come back as {plain!r}"
        )
    name = f"{getattr(model_fn, '__module__', '')}.{getattr(model_fn, '__qualname__', type(model_fn).__qualname__)}"
    return {"model_fn": name, "params": plain}
