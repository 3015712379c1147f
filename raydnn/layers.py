"""Layers for model functions of one's own, as in `tf.compat.v1.layers`.

Each makes its variables at the first call of the model function and finds them again later. Without a name they are
called dense, dense_1, ... in the order of the calls.
"""

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

from torch import Tensor

from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.model.activations import activation as named_activation
from raydnn.model.layers import BatchNorm, Dense
from raydnn.model.network import InputLayer
from raydnn.model.partitioners import Partitioner, min_max_variable_partitioner
from raydnn.train.feature_batch import encoded_features
from raydnn.train.run_context import current_context

__all__ = ["batch_normalization", "dense", "dropout", "input_layer"]


def dense(
    inputs: Tensor,
    units: int,
    activation: Callable[[Tensor], Tensor] | str | None = None,
    use_bias: bool = True,
    kernel_initializer: Callable[..., Any] | None = None,
    bias_initializer: Callable[..., Any] | None = None,
    trainable: bool = True,
    name: str | None = None,
) -> Tensor:
    """activation(inputs @ kernel + bias), with the variables NAME/kernel [inputs, units] and NAME/bias [units].

    Args:
        inputs: float32 [..., inputs].
        units: size of the last axis of the result.
        activation: callable, name in `tf.nn`, or None.
        use_bias: whether there is a bias.
        kernel_initializer: None is Glorot uniform.
        bias_initializer: None is zeros.
        trainable: whether the optimizer changes the variables.
        name: of the layer; None takes the next free one.

    Returns:
        float32 [..., units].

    Raises:
        ValueError: units below 1, the name is used twice, or the layer is shared with other sizes.
        RuntimeError: called outside a model function.
    """
    if units < 1:
        raise ValueError(f"units must be 1 or more; got {units}")
    context = current_context()
    full = context.use_name(name, "dense")
    width = inputs.shape[-1]
    layer = context.module(
        full,
        "dense layer",
        lambda: Dense(full, width, units, context.seed, use_bias, kernel_initializer, bias_initializer, trainable),
    )
    if tuple(layer.kernel.shape) != (width, units):
        raise ValueError(
            f"layer '{full}' is shared with kernel {tuple(layer.kernel.shape)}; now {(width, units)} is asked for"
        )
    return named_activation(activation)(layer(inputs))


def dropout(inputs: Tensor, rate: float = 0.5, training: bool = False, name: str | None = None) -> Tensor:
    """Drop values with a probability and divide the others by 1 - rate.

    Args:
        inputs: float32 of any shape.
        rate: probability of dropping, in [0, 1).
        training: pass `mode == ModeKeys.TRAIN`; otherwise the inputs are returned.
        name: decides the mask together with seed, step and global row; None takes the next free one.

    Raises:
        ValueError: rate outside [0, 1).
        RuntimeError: called outside a model function.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate is the probability of dropping, in [0, 1); got {rate}")
    context = current_context()
    full = context.use_name(name, "dropout")
    if not training or not context.is_training or rate == 0:
        return inputs
    return context.dropout()(inputs, rate, crc32(full.encode()))


def batch_normalization(
    inputs: Tensor,
    momentum: float = 0.99,
    epsilon: float = 0.001,
    training: bool = False,
    trainable: bool = True,
    name: str | None = None,
) -> Tensor:
    """Normalise the last axis, in training by the statistics of the global batch over all workers.

    Makes NAME/gamma, NAME/beta, NAME/moving_mean and NAME/moving_variance. The moving averages follow by themselves;
    there are no update ops to run.

    Args:
        inputs: float32 [..., units].
        momentum: of the moving averages.
        epsilon: added to the variance.
        training: pass `mode == ModeKeys.TRAIN`; otherwise the moving averages are used.
        trainable: whether the optimizer changes gamma and beta.
        name: of the layer; None takes the next free one.

    Raises:
        ValueError: the name is used twice.
        RuntimeError: called outside a model function.
    """
    context = current_context()
    full = context.use_name(name, "batch_normalization")
    units = inputs.shape[-1]
    layer = context.module(
        full, "batch normalization", lambda: BatchNorm(full, units, context.all_sum, momentum, epsilon, trainable)
    )
    layer.train(training and context.is_training)
    result: Tensor = layer(inputs)
    return result


def input_layer(
    features: Any,
    feature_columns: Iterable[Any] | Any,
    partitioner: Partitioner | None = None,
    name: str | None = None,
) -> Tensor:
    """Columns side by side, ordered by their names, as in `tf.feature_column.input_layer`.

    Embedding tables are called NAME/COLUMN/embedding_weights.

    Args:
        features: what the model function got, or a dict of arrays of the caller's own.
        feature_columns: dense columns: numeric, bucketized, embedding and indicator columns.
        partitioner: of the embedding tables; None keeps each whole. With several workers, tables of more than one
            slice are spread over them.
        name: of the layer; None takes the next free one of input_layer, input_layer_1, ...

    Returns:
        float32 [rows, sum of the columns' widths].

    Raises:
        ValueError: a missing feature, a column that is not dense, two columns of one name, or the name is used twice.
        InvalidArgumentError: a value that does not fit its column.
        RuntimeError: called outside a model function.
    """
    context = current_context()
    full = context.use_name(name, "input_layer")
    columns = context.store.remember(f"columns of {full}", lambda: feature_columns)
    encoder = context.store.remember(full, lambda: Encoder(input_layer_columns(columns)).load())
    if columns is not feature_columns and encoder.columns != input_layer_columns(feature_columns):
        raise ValueError(f"layer '{full}' is shared with other columns; give another name")
    batch = encoded_features(features, encoder, context.device)
    layer = context.module(
        full,
        "input layer",
        lambda: InputLayer(
            encoder, full, context.seed, partitioner or min_max_variable_partitioner(), context.exchange
        ),
    )
    result: Tensor = layer(batch)
    return result
