"""Input functions over arrays in memory, under the names of `tf.compat.v1.estimator.inputs`.

Rows run on from one epoch into the next, as in TensorFlow: only the very last batch may be smaller. The data sets of
`raydnn.inputs` end each epoch with its own last batch, can be resumed, and are faster.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Batch = Any
InputFn = Callable[[], Iterator[Batch]]


def numpy_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
) -> InputFn:
    """An input function over NumPy arrays.

    Args:
        x: name -> array [rows, ...], or one array.
        y: labels, an array [rows, ...] or a dict of them; None gives features alone.
        batch_size: rows in a batch.
        num_epochs: how often to go through the rows; None is without end, in full batches only.
        shuffle: whether each epoch has an order of its own, True or False.
        queue_capacity, num_threads: accepted for likeness.

    Returns:
        A function without arguments that gives (features, labels) batches.

    Raises:
        ValueError: shuffle is no bool. When the function is called: x is empty, lengths differ, or x and y share a key.
        TypeError: (when it is called) x is neither dict nor array.
    """
    seed = _check_shuffle(shuffle)

    def input_fn() -> Iterator[Batch]:
        features = _check_arrays(x)
        labels = {} if y is None else _as_dict(y)
        shared = sorted(set(features) & set(labels)) if isinstance(y, Mapping) else []
        if shared:
            raise ValueError(f"x and y share the keys {', '.join(shared)}; rename them in one")
        lengths = {str(name): len(array) for name, array in (*features.items(), *labels.items())}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of x and y have different lengths: {lengths}")
        rows = next(iter(lengths.values()))
        for places in _batches_of_rows(rows, batch_size, num_epochs, seed):
            taken = {name: array[places] for name, array in features.items()}
            of_labels = {name: array[places] for name, array in labels.items()}
            chosen = taken if isinstance(x, Mapping) else taken[""]
            if y is None:
                yield chosen
            else:
                yield chosen, of_labels if isinstance(y, Mapping) else of_labels[""]

    return input_fn


def pandas_input_fn(
    x: "pd.DataFrame",
    y: "pd.Series[Any] | pd.DataFrame | None" = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
    target_column: str = "target",
) -> InputFn:
    """An input function over a pandas DataFrame, whose index is not a feature.

    Args:
        x: one column per feature.
        y: labels; a DataFrame gives a dict of labels. None gives features alone.
        target_column: name of the labels in TensorFlow's queue; must not be a column of x.
        batch_size, num_epochs, shuffle, queue_capacity, num_threads: see `numpy_input_fn`.

    Returns:
        A function without arguments that gives (features, labels) batches.

    Raises:
        TypeError: target_column is no str.
        ValueError: shuffle is no bool, x has a column target_column, or x and y have different indices.
    """
    if not isinstance(target_column, str):
        raise TypeError(f"target_column must be a str; got {target_column!r}")
    seed = _check_shuffle(shuffle)
    if y is not None:
        if target_column in x.columns:
            raise ValueError(f"x has a column '{target_column}' already; give another target_column")
        if not np.array_equal(x.index, y.index):
            raise ValueError("x and y have different indices; align them first")

    def input_fn() -> Iterator[Batch]:
        for places in _batches_of_rows(len(x), batch_size, num_epochs, seed):
            features = {str(name): x[name].iloc[places] for name in x.columns}
            if y is None:
                yield features
            elif y.ndim == 1:
                yield features, y.iloc[places]
            else:
                yield features, {str(name): y[name].iloc[places] for name in y.columns}

    return input_fn


def _check_shuffle(shuffle: Any) -> int | None:
    """The seed of the orders, None without shuffling; drawn once, so that all workers see the same batches."""
    if not isinstance(shuffle, bool):
        raise ValueError(f"shuffle must be True or False; got {shuffle!r}")
    return secrets.randbits(32) if shuffle else None


def _check_arrays(x: Any) -> dict[Any, NDArray[Any]]:
    if not isinstance(x, Mapping | np.ndarray):
        raise TypeError(f"x must be a dict of arrays or an array; got {type(x).__name__}")
    if not len(x):
        raise ValueError("x must not be empty")
    return _as_dict(x)


def _as_dict(arrays: Any) -> dict[Any, NDArray[Any]]:
    given = arrays if isinstance(arrays, Mapping) else {"": arrays}
    return {name: np.asarray(array) for name, array in given.items()}


def _batches_of_rows(
    rows: int, batch_size: int, num_epochs: int | None, seed: int | None
) -> Iterator[NDArray[np.int64]]:
    """The rows of each batch, running on from one epoch into the next."""
    random = None if seed is None else np.random.default_rng(seed)
    pending = np.empty(0, np.int64)
    epoch = 0
    while rows and (num_epochs is None or epoch < num_epochs):
        order = np.arange(rows) if random is None else random.permutation(rows)
        pending = np.concatenate([pending, order])
        full = len(pending) // batch_size
        for place in range(full):
            yield pending[place * batch_size : (place + 1) * batch_size]
        pending = pending[full * batch_size :]
        epoch += 1
    if len(pending):
        yield pending
