"""A model at work: a model function with its variables, slots and global step."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raydnn import errors
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model_fn import ModelFn, call_model_fn, declared_arguments
from raydnn.feature_column.encoder import WEIGHT
from raydnn.inputs.batch import Batch
from raydnn.model.batch import EncodedBatch
from raydnn.model.initializers import values_follow
from raydnn.model.threads import threads_for
from raydnn.model.variable import Variable
from raydnn.model.variable_store import VariableStore
from raydnn.train.checkpoint import VariableReader
from raydnn.train.checkpoint.reader import restore_variables
from raydnn.train.hooks.progress import ROWS
from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    LOSS,
    SUMMARY,
    SessionRunHook,
    Summary,
    variable_name,
)
from raydnn.train.optimizers.slots import Slots
from raydnn.train.optimizers.torch_optimizer import TorchSlots, make_slots
from raydnn.train.replicas import Replicas, SingleReplica
from raydnn.train.row_counter import STEP_ROWS, StepRows
from raydnn.train.run_context import Call, ModelContext, surroundings
from raydnn.train.step_times import ALL_REDUCE, BACKWARD, FORWARD, OPTIMIZER, StepTimes

logger = logging.getLogger(__name__)


class Model:
    """One model in one mode, on one replica.

    Args:
        model_fn: called for every batch.
        params: passed to it.
        config: passed to it.
        mode: a value of `ModeKeys`.
        seed: of initial values and dropout.
        replicas: the group that this replica trains in.
        device: where the variables live.
        times: takes the times of the parts of training steps.
    """

    def __init__(
        self,
        model_fn: ModelFn,
        params: Mapping[str, Any],
        config: Any,
        mode: str,
        seed: int,
        replicas: Replicas | None = None,
        device: str = "cpu",
        times: StepTimes | None = None,
    ) -> None:
        self._replicas = replicas or SingleReplica()
        self._times = times or StepTimes()
        self._store = VariableStore()
        self._context = ModelContext(self._store, mode == ModeKeys.TRAIN, self._replicas, seed, torch.device(device))
        self._step = _Step(self._store, model_fn, params, config, mode)
        self._module: nn.Module = self._step
        # A function of the user's own may draw random numbers, leave variables unused and change what it is given.
        self._is_own = not hasattr(model_fn, "encoder")
        self._slots: Slots | TorchSlots | None = None
        self._variables: dict[str, Variable] = {}
        self._dense_values = 0
        self.prediction_hooks: Sequence[SessionRunHook] = ()

    @property
    def global_step(self) -> int:
        """The number of updates so far."""
        return self._context.global_step

    def build(self, empty: Batch, values_are_drawn: bool = True) -> EstimatorSpec:
        """Make the variables, by calling the model function with a batch without rows.

        Args:
            empty: that batch.
            values_are_drawn: False where all variables get values from elsewhere before they are read.

        Returns:
            What it returned, for its hooks.
        """
        self._context.is_building = True
        try:
            with torch.no_grad(), nullcontext() if values_are_drawn else values_follow():
                spec = self._call(empty)
                self._context.forget_building()
        finally:
            self._context.is_building = False
        self.prediction_hooks = spec.prediction_hooks
        for variable in self._store.variables():
            if variable.name in self._variables:
                raise ValueError(f"there are two variables called '{variable.name}'; rename a layer or a variable")
            self._variables[variable.name] = variable
        self._dense_values = sum(each.tensor.numel() for each in self._variables.values() if each.group is None)
        if spec.train_op is not None:
            self._slots = make_slots(spec.train_op, self._variables.values())
            self._module = self._replicas.wrap(self._step, uses_all=not self._is_own)
        if self._replicas.rank == 0 and self.spread_variables():
            _log_partitions(self.spread_variables())
        return spec

    def restore(self, reader: VariableReader) -> None:
        """Take all values from a checkpoint.

        Slots that it does not have stay as they are.

        Raises:
            NotFoundError: it lacks a variable.
            InvalidArgumentError: a variable has another shape there.
        """
        restore_variables(self._variables, reader)
        if self._slots is not None:
            self._slots.restore(reader)
        self._context.global_step = reader.global_step

    def set_values(self, values: Mapping[str, NDArray[Any]], global_step: int) -> None:
        """Take given values of all variables, slots aside."""
        for name, variable in self._variables.items():
            variable.assign(values[name], "the given values")
        self.set_global_step(global_step)

    def train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make one update; see `raydnn.train.loop.TrainableModel`."""
        # Each weight is multiplied and added for each row: once forward, twice backward.
        with self._threads(6 * batch.num_rows):
            return self._train(batch, fetches, feeds)

    def _train(self, batch: Batch, fetches: set[str], feeds: Mapping[str, Any] | None) -> dict[str, Any]:
        call = Call(feeds or {}, batch.first_row)
        if SUMMARY in fetches:
            call.scalars, call.histograms = {}, {}
        with self._times.part(FORWARD):
            spec = self._call(batch, call)
        assert spec.loss is not None
        assert spec.train_op is not None
        assert self._slots is not None
        loss = spec.train_op.loss
        if batch.num_rows == 0 and self._is_own:
            # An average over no rows is NaN, which would spoil the loss of the replicas that have some.
            loss = torch.nan_to_num(loss, nan=0.0)
        with self._times.part(BACKWARD):
            loss.backward()
        self._times.move(self._replicas.waited_for_gradients(), BACKWARD, ALL_REDUCE)
        weight = torch.zeros(()) if spec.example_weight is None else spec.example_weight
        with torch.no_grad():
            own_loss = torch.nan_to_num(spec.loss, nan=0.0) if batch.num_rows == 0 else spec.loss
            total_loss, total_weight, rows = self._totals(own_loss, weight, batch)
        with self._times.part(OPTIMIZER):
            self._slots.apply(spec.train_op.optimizer, self.global_step, self._replicas)
        self._context.global_step += 1
        shown = np.float32(total_loss)
        known: dict[str, Any] = {LOSS: shown, f"{LOSS}:0": shown, ROWS: batch.global_rows, STEP_ROWS: rows}
        if SUMMARY in fetches:
            known[SUMMARY] = _summary(total_loss, total_weight if spec.example_weight is not None else None, call)
        return known | self.fetch(fetches - set(known), spec.predictions)

    def _totals(self, loss: Tensor, weight: Tensor, batch: Batch) -> tuple[float, float, StepRows]:
        """The sums over the replicas of loss and weight, which are scalars, and the rows of all their batches."""
        weights = _example_weights(batch)
        if self._replicas.size == 1:
            return float(loss), float(weight), StepRows((batch.num_rows,), *(weights or (None, None)))
        counts = [0.0] * self._replicas.size
        counts[self._replicas.rank] = batch.num_rows
        own = torch.tensor([*(weights or (0.0, 0)), *counts], dtype=torch.float64, device=loss.device)
        # Rows are counted with the loss, as another exchange would cost more. In float64 counts are exact.
        sums = torch.stack([loss, weight.to(loss)]).double()
        total_loss, total_weight, example_weight, zeros, *rows = self._replicas.all_sum(torch.cat([sums, own])).tolist()
        workers = tuple(map(int, rows))
        if weights is None:
            return total_loss, total_weight, StepRows(workers)
        return total_loss, total_weight, StepRows(workers, example_weight, int(zeros))

    def run(self, batch: Batch, feeds: Mapping[str, Any] | None = None) -> EstimatorSpec:
        """What the model function makes of one batch, without an update."""
        with torch.inference_mode(), self._threads(2 * batch.num_rows):
            return self._call(batch, Call(feeds or {}, batch.first_row))

    def predict(self, batch: Batch, feeds: Mapping[str, Any] | None = None) -> Any:
        """Predictions of one batch as NumPy arrays: a dict of them, or one."""
        predictions = self.run(batch, feeds).predictions
        if isinstance(predictions, Mapping):
            return {key: to_numpy(value) for key, value in predictions.items()}
        return to_numpy(predictions)

    def fetch(self, names: set[str], predictions: Any = None) -> dict[str, Any]:
        """Current values of variables, 'global_step' and predictions.

        Raises:
            ValueError: an unknown name.
        """
        of_batch = predictions if isinstance(predictions, Mapping) else {}
        values: dict[str, Any] = {}
        known = self.all_variables() if names - {GLOBAL_STEP} else {}
        for name in names:
            variable = known.get(variable_name(name))
            if variable_name(name) == GLOBAL_STEP:
                values[name] = np.int64(self.global_step)
            elif variable is not None:
                if variable.rows is not None:
                    raise ValueError(
                        f"'{name}' is spread over workers and cannot be fetched; read it from a checkpoint"
                    )
                values[name] = to_numpy(variable.tensor).copy()
            elif name in of_batch:
                values[name] = to_numpy(of_batch[name])
            else:
                there = ", ".join(sorted({GLOBAL_STEP, *known, *of_batch}))
                raise ValueError(f"there is nothing to fetch under the name '{name}'; known are {there}")
        return values

    def load(self, name: str, value: Any) -> None:
        """Set a variable or a slot.

        Raises:
            NotFoundError: there is none of this name.
            InvalidArgumentError: the value has another shape.
        """
        known = self.all_variables()
        name = variable_name(name)
        if name not in known:
            raise errors.NotFoundError(f"there is no variable '{name}'; there are {', '.join(sorted(known))}")
        known[name].assign(np.asarray(value), "the given value")

    def checkpoint_values(self) -> dict[str, NDArray[Any]]:
        """All variables and slots that are whole on this replica by name, without global_step; they are not copied."""
        variables = self.all_variables().values()
        return {variable.name: to_numpy(variable.tensor) for variable in variables if variable.rows is None}

    def spread_variables(self) -> list[Variable]:
        """The variables and slots of which this replica holds some rows."""
        return [variable for variable in self.all_variables().values() if variable.rows is not None]

    def set_global_step(self, global_step: int) -> None:
        """Go on counting from there."""
        self._context.global_step = global_step

    def all_variables(self) -> dict[str, Variable]:
        """The model's variables and the optimizer's slots by name."""
        slots = () if self._slots is None else self._slots.variables()
        return self._variables | {slot.name: slot for slot in slots}

    def _call(self, batch: Batch, call: Call | None = None) -> EstimatorSpec:
        call = call or Call()
        features = batch.features.copy() if isinstance(batch.features, dict) else batch.features
        with surroundings(self._context, call), self._seeded():
            spec: EstimatorSpec = self._module(features, batch.labels)
        unknown = sorted(set(call.feeds) - call.placeholders)
        if unknown:
            known = ", ".join(sorted(call.placeholders)) or "none"
            raise ValueError(f"{', '.join(unknown)} cannot be fed; the model's placeholders are {known}")
        return spec

    def _threads(self, operations_per_weight: int) -> AbstractContextManager[None]:
        """As many threads as the layers are worth; a function of the user's own may do more than its weights tell."""
        return nullcontext() if self._is_own else threads_for(operations_per_weight * self._dense_values)

    def _seeded(self) -> AbstractContextManager[None]:
        """Makes what a training model function of the user's own draws from torch depend on seed, step and rank."""
        if not self._is_own or not self._context.is_train_mode:
            return nullcontext()
        return _global_seed(self._context.step_seed(self._replicas.rank))


class _Step(nn.Module):
    """A model function as a torch module, so that it can be wrapped for data parallelism."""

    def __init__(
        self, store: VariableStore, model_fn: ModelFn, params: Mapping[str, Any], config: Any, mode: str
    ) -> None:
        super().__init__()
        self.store = store
        self._model_fn = model_fn
        self._declared = declared_arguments(model_fn)
        self._params = params
        self._config = config
        self._mode = mode

    def forward(self, features: Any, labels: Any) -> EstimatorSpec:
        return call_model_fn(self._model_fn, self._declared, features, labels, self._mode, self._params, self._config)


def _example_weights(batch: Batch) -> tuple[float, int] | None:
    """The sum of the example weights of a batch, and how many are 0; None without a weight column."""
    if not isinstance(batch.features, EncodedBatch) or batch.features.weights is None:
        return None
    # Of the rows and not of the tensors: these may lie on a GPU, which would have to be waited for.
    weights = batch.rows.column(WEIGHT).to_numpy()
    return float(weights.sum(dtype=np.float64)), len(weights) - int(np.count_nonzero(weights))


def _summary(loss: float, total_weight: float | None, call: Call) -> Summary:
    """The summary of a step.

    Args:
        loss: of the global batch.
        total_weight: of its rows, if an average is wanted.
        call: with what the model function has told.
    """
    scalars = {"loss": loss}
    if total_weight is not None:
        scalars["average_loss"] = loss / total_weight if total_weight else 0.0
    histograms = {tag: to_numpy(values) for tag, values in (call.histograms or {}).items()}
    return Summary(scalars | (call.scalars or {}), histograms)


def _log_partitions(variables: Sequence[Variable]) -> None:
    """Tell how rows and bytes of spread tables and their slots are shared out, as the chief sees it."""
    size = variables[0].rows.step if variables[0].rows is not None else 1
    rows, num_bytes = [0] * size, [0] * size
    for variable in variables:
        assert variable.rows is not None
        row_bytes = variable.tensor.element_size() * prod(variable.tensor.shape[1:])
        for rank, held in enumerate(variable.rows.of_each_replica()):
            rows[rank] += len(held) if variable.group is not None else 0
            num_bytes[rank] += len(held) * row_bytes
    logger.info(
        "Embedding tables are spread over %d workers: %s",
        size,
        "; ".join(
            f"partition {rank} has {count:,} rows, {held / 1e6:,.1f} MB with slots"
            for rank, (count, held) in enumerate(zip(rows, num_bytes, strict=True))
        ),
    )


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def to_numpy(value: Any) -> NDArray[Any]:
    """A tensor or an array in the memory of this process."""
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)
