"""The classifier with hidden layers."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

from raydnn.estimator.estimator import Estimator
from raydnn.estimator.model_fn import DNNModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.warm_start import WarmStartSettings
from raydnn.model.heads import classification_head
from raydnn.model.losses import Reduction
from raydnn.model.settings import NetworkSettings


class DNNClassifier(Estimator):
    """A deep neural network classifier, with the call, the variables and the numbers of TensorFlow's.

    Args:
        hidden_units: sizes of the hidden layers; may be empty.
        feature_columns: what enters the network: numeric, bucketized, indicator and embedding columns, shared ones too.
        model_dir: where checkpoints and summaries go; None takes the config's, or else a temporary folder.
        n_classes: number of classes, 2 or more.
        weight_column: feature (name or numeric_column) whose value multiplies the loss of each row.
        label_vocabulary: class names as strings, if labels are such; the place is the class id.
        optimizer: 'Adagrad', 'Adam', 'Ftrl', 'RMSProp' or 'SGD' (learning rate 0.05), an optimizer of `raydnn.train`,
            or a callable without arguments that makes one.
        activation_fn: a callable from tensor to tensor, the name of one in tf.nn, or None for linear.
        dropout: probability of dropping a hidden value in training; None drops nothing.
        input_layer_partitioner: one of raydnn's `*_partitioner`s, which tells into how many slices of rows each
            embedding table and its slots are stored; with several workers a table of more than one slice is spread over
            them. None cuts tables of more than 64 MiB into up to `RunConfig(num_ps_replicas)` slices.
        config: settings of the run.
        warm_start_from: path of an earlier model, or WarmStartSettings; see `Estimator`.
        loss_reduction: how the losses of a batch become one number; a value of `raydnn.losses.Reduction`.
        batch_norm: whether hidden layers end with batch normalisation.

    Raises:
        ValueError: a bad n_classes, label_vocabulary, config or loss_reduction. Columns, optimizer and activation are
            checked when the model is built, as in TensorFlow.
        TypeError: a label_vocabulary that is no list.
    """

    def __init__(
        self,
        hidden_units: Iterable[int],
        feature_columns: Iterable[Any],
        model_dir: str | PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: Any = None,
        label_vocabulary: Sequence[str] | None = None,
        optimizer: Any = "Adagrad",
        activation_fn: Any = "relu",
        dropout: float | None = None,
        input_layer_partitioner: Any = None,
        config: RunConfig | None = None,
        warm_start_from: str | bytes | PathLike[str] | WarmStartSettings | None = None,
        loss_reduction: str = Reduction.SUM,
        batch_norm: bool = False,
    ) -> None:
        head = classification_head(n_classes, label_vocabulary, loss_reduction)
        # An iterator can be read once, but the model is built again and again.
        units = tuple(hidden_units) if isinstance(hidden_units, Iterable) else hidden_units
        columns = tuple(feature_columns) if _is_iterator(feature_columns) else feature_columns
        network = NetworkSettings(units, activation_fn, dropout, batch_norm, input_layer_partitioner)
        model_fn = DNNModelFn(columns, network, head, optimizer, weight_column)
        super().__init__(model_fn, model_dir, config, None, warm_start_from)


def _is_iterator(value: Any) -> bool:
    return hasattr(value, "__next__")
