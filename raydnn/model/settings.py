"""What a DNN is made of besides its columns: the arguments that decide its variables and its arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from raydnn.feature_column.encoder import Encoder
from raydnn.model.activations import activation, activation_name
from raydnn.model.layers import AllSum
from raydnn.model.network import DNN
from raydnn.model.partitioners import Partitioner, min_max_variable_partitioner
from raydnn.model.tables import RowExchange


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of a network.

    Attributes:
        hidden_units: sizes of the hidden layers.
        activation_fn: as `DNNClassifier` takes it.
        dropout: probability of dropping a hidden value in training, or None.
        batch_norm: whether hidden layers end with batch normalisation.
        input_layer_partitioner: of the embedding tables; None keeps each whole.
    """

    hidden_units: Any
    activation_fn: Any = "relu"
    dropout: float | None = None
    batch_norm: bool = False
    input_layer_partitioner: Partitioner | None = None

    def build(
        self,
        encoder: Encoder,
        logits_dimension: int,
        seed: int,
        all_sum: AllSum = lambda tensor: tensor,
        default_partitioner: Partitioner | None = None,
        exchange: RowExchange | None = None,
    ) -> DNN:
        """The network with initial values.

        Args:
            encoder: whose batches it reads.
            logits_dimension: width of the logits.
            seed: of the initial values.
            all_sum: sums over the replicas.
            default_partitioner: takes the place of an input_layer_partitioner of None.
            exchange: the replicas that tables of more than one slice are spread over; None keeps all rows here.

        Raises:
            TypeError: hidden_units is not iterable or holds something that is no number; a bad activation_fn or
                partitioner.
            ValueError: sizes below 1, an unknown activation, or a dropout outside [0, 1).
        """
        units = self._checked_units()
        if self.dropout is not None and not (isinstance(self.dropout, Real) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout is the probability of dropping, in [0, 1); got {self.dropout!r}")
        if self.input_layer_partitioner is not None and not callable(self.input_layer_partitioner):
            raise TypeError(
                "input_layer_partitioner must be a function of shape and dtype, such as "
                f"raydnn.fixed_size_partitioner(2); got {self.input_layer_partitioner!r}"
            )
        function = activation(self.activation_fn)
        partitioner = self.input_layer_partitioner or default_partitioner or min_max_variable_partitioner()
        return DNN(
            encoder,
            units,
            logits_dimension,
            function,
            self.dropout,
            self.batch_norm,
            seed,
            all_sum,
            partitioner,
            exchange,
        )

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values.

        Raises:
            ValueError: the activation is a function of the user's own, which has no name.
        """
        name = activation_name(self.activation_fn)
        if name is None:
            raise ValueError(
                f"activation_fn {self.activation_fn!r} has no name and cannot be written; give the name of a tf.nn "
                "activation, such as 'relu'"
            )
        units = self._checked_units()
        return {
            "hidden_units": units,
            "activation_fn": name,
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
        }

    def _checked_units(self) -> list[int]:
        if not isinstance(self.hidden_units, Iterable) or isinstance(self.hidden_units, str):
            raise TypeError(f"hidden_units must be a list of layer sizes; got {self.hidden_units!r}")
        try:
            units = [int(size) for size in self.hidden_units]
        except (TypeError, ValueError) as error:
            raise type(error)(f"hidden_units must hold layer sizes; got {self.hidden_units!r} ({error})") from error
        for size in units:
            if size < 1:
                raise ValueError(f"hidden_units must hold sizes of 1 or more; got {units}")
        return units
