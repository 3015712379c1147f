"""The network of a DNNClassifier: input layer, hidden layers, logits, with TensorFlow's names and layouts."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydnn.feature_column.columns import CategoricalWrapper
from raydnn.feature_column.embedding import EmbeddingColumn, IndicatorColumn, SharedEmbeddingColumn
from raydnn.feature_column.encoder import Encoder
from raydnn.model.activations import Activation
from raydnn.model.bags import Lookup, TableUse
from raydnn.model.batch import EncodedBatch, RowIds
from raydnn.model.dropout import Dropout
from raydnn.model.initializers import TruncatedNormal, initial_rows
from raydnn.model.layers import AllSum, BatchNorm, Dense
from raydnn.model.partitioners import Partitioner
from raydnn.model.tables import RowExchange, Table, TableGroup
from raydnn.model.variable import Variable

BATCH_NORM_MOMENTUM = 0.999


class InputLayer(nn.Module):
    """Columns of an encoder side by side: [rows, sum of widths], ordered by column name.

    Args:
        encoder: whose batches it reads.
        scope: of the layer, such as 'dnn/input_from_feature_columns/input_layer'; prefix of the variable names.
        seed: of the initial values.
        partitioner: tells into how many slices each table is cut.
        exchange: the replicas that tables of more than one slice are spread over; None keeps all rows here.
    """

    def __init__(
        self,
        encoder: Encoder,
        scope: str,
        seed: int,
        partitioner: Partitioner,
        exchange: RowExchange | None = None,
    ) -> None:
        super().__init__()
        self.width = sum(column.width for column in encoder.columns)
        self._columns = encoder.columns
        self._scope = scope
        self._dense_places = _value_places(encoder)
        self._indicators = [column for column in encoder.columns if isinstance(column, IndicatorColumn)]
        self._id_places = {
            column.name: encoder.categorical_columns.index(column.categorical_column)
            for column in encoder.columns
            if isinstance(column, CategoricalWrapper)
        }
        self.groups: list[TableGroup] = []
        self._uses: list[list[TableUse]] = []
        columns = [column for column in encoder.columns if isinstance(column, EmbeddingColumn)]
        self._make_tables(columns, partitioner, exchange)
        self._runs = self._neighbours()
        for group in self.groups:
            for place, table in enumerate(group.tables):
                initial_rows(group.view(place), table.initializer, group.rows(place), seed=seed, name=table.name)

    def _make_tables(
        self, columns: Sequence[EmbeddingColumn], partitioner: Partitioner, exchange: RowExchange | None
    ) -> None:
        by_layout: dict[tuple[int, float | None, bool, bool], list[EmbeddingColumn]] = {}
        made: set[str] = set()
        owners: set[str] = set()
        for column in columns:
            num_slices = partitioner((column.categorical_column.num_buckets, column.dimension), "float32")[0]
            layout = (column.dimension, column.max_norm, column.trainable, exchange is not None and num_slices > 1)
            by_layout.setdefault(layout, []).append(column)
        for (dimension, max_norm, trainable, is_spread), members in by_layout.items():
            tables: dict[str, Table] = {}
            uses = []
            for column in members:
                name = self.table_name(column)
                rows = column.categorical_column.num_buckets
                initializer = column.initializer or TruncatedNormal(stddev=column.default_stddev)
                slices = partitioner((rows, dimension), "float32")[0]
                table = tables.setdefault(name, Table(name, rows, initializer, slices))
                is_shared = isinstance(column, SharedEmbeddingColumn)
                if table.num_rows != rows or name in made or (name in owners and not is_shared):
                    raise ValueError(
                        f"column '{column.name}' and another have tables of the same name '{name}' but of different "
                        "shapes or settings; rename a feature, or declare them with shared_embedding_columns"
                    )
                owners.add(name)
                place = list(tables).index(name)
                ids = self._id_places[column.name]
                uses.append(TableUse(column.name, place, ids, column.combiner, column.use_safe_embedding_lookup))
            spread_over = exchange if is_spread else None
            self.groups.append(TableGroup(dimension, list(tables.values()), trainable, max_norm, spread_over))
            self._uses.append(uses)
            made |= set(tables)

    def table_name(self, column: EmbeddingColumn) -> str:
        """The name of the variable that a column reads."""
        # The name of a collection is the user's own: there TensorFlow lets '/' stand.
        kept = "/" if isinstance(column, SharedEmbeddingColumn) else ""
        path = [scoped_name(name, kept) for name in column.table_path]
        parents = self._scope.split("/")
        return "/".join([*(parents if len(path) > 1 else parents[:-1]), *path])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # The fused tables are no parameters, so torch must be told to move them along.
        for group in self.groups:
            group.weight = fn(group.weight)
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def variables(self) -> Iterator[Variable]:
        """The embedding tables."""
        for group in self.groups:
            for place, table in enumerate(group.tables):
                rows = None if group.exchange is None else group.rows(place)
                first_row = group.first_rows[place]
                yield Variable(table.name, group.view(place), group.trainable, group, first_row, table.num_slices, rows)

    def forward(self, batch: EncodedBatch) -> Tensor:
        """The input of the first hidden layer, float32 [rows, width]."""
        sources = [] if batch.dense is None else [batch.dense]
        lookups: list[Lookup] = batch.once(self, self._prepare)
        for group, uses, lookup in zip(self.groups, self._uses, lookups, strict=True):
            sources.append(group.read(lookup).view(batch.num_rows, len(uses) * group.dimension))
        for column in self._indicators:
            ids = batch.ids[self._id_places[column.name]]
            sources.append(count_ids(ids, batch.num_rows, column.width))
        return torch.cat([sources[source].narrow(1, start, width) for source, start, width in self._runs], dim=1)

    def _prepare(self, batch: EncodedBatch, sizes: Sequence[int]) -> list[list[Lookup]]:
        """The lookups of batches of so many rows each, one for each group."""
        of_groups = [group.prepare(uses, batch.ids, sizes) for group, uses in zip(self.groups, self._uses, strict=True)]
        return [[lookups[place] for lookups in of_groups] for place in range(len(sizes))]

    def _neighbours(self) -> list[tuple[int, int, int]]:
        """Columns that lie side by side both here and in what they come from.

        Returns:
            Runs of such columns: which source they come from, and their start and width in it.
        """
        place_of: dict[str, tuple[int, int]] = {}
        num_sources = 0
        if self._dense_places:
            place_of |= {name: (0, start) for name, (start, _) in self._dense_places.items()}
            num_sources = 1
        for group, uses in zip(self.groups, self._uses, strict=True):
            place_of |= {use.column_name: (num_sources, place * group.dimension) for place, use in enumerate(uses)}
            num_sources += 1
        for indicator in self._indicators:
            place_of[indicator.name] = (num_sources, 0)
            num_sources += 1
        runs: list[tuple[int, int, int]] = []
        for column in self._columns:
            source, start = place_of[column.name]
            if runs and runs[-1][0] == source and sum(runs[-1][1:]) == start:
                runs[-1] = (source, runs[-1][1], runs[-1][2] + column.width)
            else:
                runs.append((source, start, column.width))
        return runs


class DNN(nn.Module):
    """Input layer, hidden layers and logits.

    Per hidden layer: dense, activation, dropout, batch normalisation.

    Args:
        encoder: whose batches it reads.
        hidden_units: sizes of the hidden layers; may be empty.
        logits_dimension: width of the logits.
        activation: applied in each hidden layer.
        dropout: probability of dropping a hidden value in training, or None.
        batch_norm: whether hidden layers end with batch normalisation.
        seed: of the initial values.
        all_sum: sums over replicas, for the batch statistics of the whole global batch.
        partitioner: of the embedding tables.
        exchange: the replicas that tables of more than one slice are spread over; None keeps all rows here.
    """

    def __init__(
        self,
        encoder: Encoder,
        hidden_units: Sequence[int],
        logits_dimension: int,
        activation: Activation,
        dropout: float | None,
        batch_norm: bool,
        seed: int,
        all_sum: AllSum,
        partitioner: Partitioner,
        exchange: RowExchange | None = None,
    ) -> None:
        super().__init__()
        scope = "dnn/input_from_feature_columns/input_layer"
        self.input_layer = InputLayer(encoder, scope, seed, partitioner, exchange)
        # In place, where nobody else sees the values: fresh memory costs more than the arithmetic.
        self._activation = torch.relu_ if activation in (torch.relu, F.relu) else activation
        self._dropout = dropout
        self.hidden = nn.ModuleList()
        width = self.input_layer.width
        for layer, units in enumerate(hidden_units):
            self.hidden.append(_HiddenLayer(f"dnn/hiddenlayer_{layer}", layer, width, units, seed, batch_norm, all_sum))
            width = units
        self.logits = Dense("dnn/logits", width, logits_dimension, seed)

    def variables(self) -> Iterator[Variable]:
        """All variables, in the order in which TensorFlow makes them."""
        yield from self.input_layer.variables()
        for layer in self.hidden:
            yield from layer.variables()  # type: ignore[operator]
        yield from self.logits.variables()

    def forward(
        self,
        batch: EncodedBatch,
        dropout: Dropout = Dropout(0),  # noqa: B008 - a frozen value
        activations: dict[str, Tensor] | None = None,
        compute_dtype: str = "float32",
    ) -> Tensor:
        """The logits.

        Args:
            batch: of the encoder.
            dropout: of this step; only used in training.
            activations: if given, receives the output of each hidden layer and the logits by scope.
            compute_dtype: in which matrices are multiplied, 'float32' or 'bfloat16'.

        Returns:
            float32 [rows, logits_dimension].
        """
        net = self.input_layer(batch)
        if compute_dtype == "float32":
            logits = self._tower(net, dropout, activations)
        else:
            with torch.autocast(net.device.type, getattr(torch, compute_dtype)):
                logits = self._tower(net, dropout, activations).float()
        if activations is not None:
            activations[self.logits.scope] = logits.detach()
        return logits

    def _tower(self, net: Tensor, dropout: Dropout, activations: dict[str, Tensor] | None) -> Tensor:
        for place, layer in enumerate(self.hidden):
            net = self._activation(layer.dense(net))  # type: ignore[operator]
            if self.training and self._dropout is not None:
                net = dropout(net, self._dropout, place)
            if layer.normalize is not None:
                net = layer.normalize(net)  # type: ignore[operator]
            if activations is not None:
                activations[layer.scope] = net.detach().float()  # type: ignore[index]
        logits: Tensor = self.logits(net)
        return logits


class _HiddenLayer(nn.Module):
    def __init__(
        self, scope: str, place: int, inputs: int, units: int, seed: int, batch_norm: bool, all_sum: AllSum
    ) -> None:
        super().__init__()
        self.scope = scope
        self.dense = Dense(scope, inputs, units, seed)
        self.normalize = None
        if batch_norm:
            self.normalize = BatchNorm(f"{scope}/batchnorm_{place}", units, all_sum, BATCH_NORM_MOMENTUM)

    def variables(self) -> Iterator[Variable]:
        yield from self.dense.variables()
        if self.normalize is not None:
            yield from self.normalize.variables()


def count_ids(ids: RowIds, num_rows: int, num_buckets: int) -> Tensor:
    """How often each id occurs in each row, weighted if the ids are; ids outside the buckets count nowhere.

    Returns:
        float32 [num_rows, num_buckets].
    """
    values = ids.values.long()
    row = torch.arange(num_rows, device=values.device)
    if ids.offsets is not None:
        row = torch.repeat_interleave(row, ids.offsets.diff())
    weights = torch.ones(len(values), device=values.device) if ids.weights is None else ids.weights
    counted = (values >= 0) & (values < num_buckets)
    place = (row * num_buckets + values)[counted]
    counts = torch.zeros(num_rows * num_buckets, device=values.device).index_add_(0, place, weights[counted])
    return counts.view(num_rows, num_buckets)


def scoped_name(name: str, kept: str = "") -> str:
    """A column name as it stands in variable names: characters outside A-Za-z0-9_.- and `kept` become _."""
    return re.sub(rf"[^A-Za-z0-9_.\-{kept}]", "_", name)


def _value_places(encoder: Encoder) -> dict[str, tuple[int, int]]:
    """Where each value column lies in the dense matrix: name -> (start, width)."""
    places, start = {}, 0
    for column in encoder.value_columns:
        places[column.name] = (start, column.width)
        start += column.width
    return places
