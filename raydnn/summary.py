"""What model functions of one's own tell TensorBoard, as in `tf.compat.v1.summary`.

Written every `RunConfig.save_summary_steps` steps of training, by the chief, from its own rows.
"""

from typing import Any

import torch

from raydnn.train.run_context import current_call

__all__ = ["histogram", "scalar"]


def scalar(name: str, tensor: Any) -> None:
    """A number over the steps.

    Args:
        name: tag in TensorBoard, below the current `variable_scope`.
        tensor: a number or a tensor with one element.

    Raises:
        ValueError: more than one number.
        RuntimeError: called outside a model function.
    """
    call = current_call()
    value = torch.as_tensor(tensor).detach()
    if value.numel() != 1:
        raise ValueError(f"summary '{call.scope}{name}' must be one number; got shape {tuple(value.shape)}")
    if call.scalars is not None:
        call.scalars[f"{call.scope}{name}"] = float(value)


def histogram(name: str, values: Any) -> None:
    """How values are distributed, over the steps.

    Args:
        name: tag in TensorBoard, below the current `variable_scope`.
        values: numbers of any shape.

    Raises:
        RuntimeError: called outside a model function.
    """
    call = current_call()
    if call.histograms is not None:
        # A copy: a variable is written only after it was updated.
        call.histograms[f"{call.scope}{name}"] = torch.as_tensor(values).detach().clone()
