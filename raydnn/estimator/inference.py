"""What evaluating and predicting begin with: a model with its values, and its input."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader, resolve_source, unit_map
from raydnn.estimator.warm_start import WarmStartSettings, open_variables, warm_start
from raydnn.inputs.batch import Batch
from raydnn.inputs.input_fn import Input
from raydnn.inputs.plan import Cursor
from raydnn.inputs.stream import InputStream, Reader, open_stream
from raydnn.train.checkpoint import CheckpointReader
from raydnn.train.loop import LoopSession


@dataclass(frozen=True, eq=False)
class InferenceJob:
    """A model to evaluate or to predict with, and its input; can be sent to another process if the input can.

    Attributes:
        model_fn, params, config: what the model is made of.
        mode: EVAL or PREDICT.
        source: the input, as `local_source` gives it.
        checkpoint: gives the values of its variables; None takes those of the warm start, or the initial ones.
        warm_start: of the estimator, or None.
        seed: of initial values.
    """

    model_fn: ModelFn
    params: Mapping[str, Any]
    config: RunConfig
    mode: str
    source: Input
    checkpoint: CheckpointReader | None
    warm_start: WarmStartSettings | None
    seed: int

    @property
    def model_dir(self) -> str:
        """Of the estimator."""
        return str(self.config.model_dir)

    def reader(self, device: str = "cpu") -> Reader:
        """How rows become batches of the model, on a device."""
        return make_reader(self.model_fn, self.mode, device=device)

    def model(self, device: str = "cpu") -> Model:
        """The model on a device, not built yet."""
        return Model(self.model_fn, self.params, self.config, self.mode, self.seed, device=device)

    def open(self, device: str = "cpu", cursor: Cursor | None = None) -> tuple[Model, InputStream]:
        """The model with its values, and its input.

        Args:
            device: where both go.
            cursor: where a data set begins; None is its start.

        Returns:
            The model and the opened stream, which the caller closes.
        """
        reader = self.reader(device)
        source = resolve_source(self.source, reader.preparer)
        stream = open_stream(source, reader, unit_map(self.config.input_engine, source), cursor=cursor)
        try:
            model = restored_model(self.model(device), stream.empty, self.checkpoint, self.warm_start)
        except BaseException:
            stream.close()
            raise
        return model, stream


def restored_model(
    model: Model, empty: Batch, checkpoint: CheckpointReader | None, warm_start_from: WarmStartSettings | None
) -> Model:
    """Build a model, and give it the values of a checkpoint, or else of a warm start.

    Args:
        model: not built yet.
        empty: a batch without rows.
        checkpoint, warm_start_from: where the values are; without either the model stays as it is initialised.

    Returns:
        The model.
    """
    model.build(empty, values_are_drawn=checkpoint is None)
    if checkpoint is not None:
        model.restore(checkpoint)
    elif warm_start_from is not None:
        warm_start(model, warm_start_from, open_variables(warm_start_from.ckpt_to_initialize_from))
    return model


def until_stop(batches: Iterator[Batch], session: LoopSession) -> Iterator[Batch]:
    """Batches up to the first that would come after a stop."""
    while not session.should_stop():
        batch = next(batches, None)
        if batch is None:
            return
        yield batch
