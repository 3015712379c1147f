"""The Estimator: a model function, a model_dir, and what can be done with both."""

import copy
import logging
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from raydnn import errors, storage
from raydnn.estimator import evaluation
from raydnn.estimator.estimator_spec import EstimatorSpec, check_hooks, check_listeners
from raydnn.estimator.evaluation_parts import evaluate_dealt
from raydnn.estimator.inference import InferenceJob
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn, call_model_fn, check_model_fn, declared_arguments
from raydnn.estimator.overrides import refuse_overrides
from raydnn.estimator.prediction import TablePredictor, predict
from raydnn.estimator.records import record_evaluation, record_export
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.saved_model import export_model
from raydnn.estimator.streams import local_source, make_reader, resolve_source
from raydnn.estimator.tf_config import EVALUATOR, PS
from raydnn.estimator.train_call import TrainCall, call_to_make, noted, read_call
from raydnn.estimator.training import TrainJob
from raydnn.estimator.warm_start import WarmStartSettings, open_variables, warm_start_settings, warm_start_step
from raydnn.inputs.dataset import Dataset, RayDatasetSource
from raydnn.inputs.input_fn import Input, InputContext, call_input_fn, wants_input_context
from raydnn.inputs.stream import InputStream
from raydnn.train.checkpoint import CheckpointReader, VariableReader, latest_checkpoint, open_newest, training_lock
from raydnn.train.hooks import CheckpointSaverListener, SessionRunHook
from raydnn.train.launcher import get_launcher
from raydnn.train.stopping import is_stop_requested, requesting_signal

if TYPE_CHECKING:
    import pyarrow
    import ray.data

logger = logging.getLogger(__name__)

InputFn = Callable[..., Any]

_MAY_OVERRIDE = {
    "model_fn",
    "latest_checkpoint",
    "_create_and_assert_global_step",
    "_export_all_saved_models",
}


class Estimator:
    """Trains, evaluates, predicts with and exports the model that a function describes.

    All state is in model_dir: estimators that share one share the model.

    Args:
        model_fn: `model_fn(features, labels, mode[, params][, config]) -> EstimatorSpec`, called for every batch.
        model_dir: where checkpoints and summaries go; None takes the config's, or else a temporary folder.
        config: settings of the run.
        params: passed to model_fn.
        warm_start_from: path of an earlier model, whose trainable variables are the initial values, or
            WarmStartSettings. Used where model_dir has no checkpoint.

    Raises:
        ValueError: a bad argument; a subclass overrides a method of this class.
    """

    def __init__(
        self,
        model_fn: ModelFn,
        model_dir: str | PathLike[str] | None = None,
        config: RunConfig | None = None,
        params: Mapping[str, Any] | None = None,
        warm_start_from: str | bytes | PathLike[str] | WarmStartSettings | None = None,
    ) -> None:
        refuse_overrides(type(self), Estimator, _MAY_OVERRIDE)
        if config is not None and not isinstance(config, RunConfig):
            raise ValueError(f"config must be a RunConfig; got {config!r}")
        path = None if model_dir is None else fspath(model_dir)
        config = config or RunConfig()
        if path is not None and config.model_dir and path != config.model_dir:
            raise ValueError(f"model_dir is {path!r} as argument and {config.model_dir!r} in the config; give one")
        check_model_fn(model_fn, params)
        self._warm_start = warm_start_settings(warm_start_from)
        self._config = config.replace(model_dir=path or config.model_dir or _temporary_folder())
        self._params = copy.deepcopy(dict(params or {}))
        self._model_fn = model_fn
        self._seed = secrets.randbits(31) if config.tf_random_seed is None else config.tf_random_seed
        self._kept: dict[str, bytes] = {}

    @property
    def model_dir(self) -> str:
        """Where checkpoints and summaries go."""
        assert self._config.model_dir is not None
        return self._config.model_dir

    @property
    def config(self) -> RunConfig:
        """A copy of the settings."""
        return copy.deepcopy(self._config)

    @property
    def params(self) -> dict[str, Any]:
        """A copy of the params."""
        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., EstimatorSpec]:
        """The model function bound to the params: (features, labels, mode, config) -> EstimatorSpec."""

        def bound(features: Any, labels: Any, mode: str, config: Any) -> EstimatorSpec:
            declared = declared_arguments(self._model_fn)
            return call_model_fn(self._model_fn, declared, features, labels, mode, self._params, config)

        return bound

    def keep_with_model(self, name: str, content: bytes) -> None:
        """Have `train` write a file into model_dir when it begins, and not when another driver trains there.

        Args:
            name: of the file.
            content: of the file.
        """
        self._kept[name] = content

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[SessionRunHook] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[CheckpointSaverListener] | None = None,
    ) -> "Estimator":
        """Train until the input ends, or a number of steps is reached.

        Goes on from the latest checkpoint in model_dir, if there is one. Here and in the other methods a damaged one is
        an error, or with `RunConfig(recover=True)` the newest whole one before it takes its place.

        The input starts from its beginning, as in TensorFlow, unless a program that made the call with these arguments
        was cut short in it, killed or ended by an exception, and is run again. Then this call goes on with that one,
        from the row of the data set that the checkpoint has come to; `steps` counts from where that call began.

        In a cluster of TF_CONFIG the chief's process starts all workers with Ray; in that of a worker there is nothing
        to do.

        Args:
            input_fn: returns (features, labels), an iterable of such batches, or a data set of `raydnn.inputs`; may
                declare any of mode, params, config and input_context. With several workers, one that declares
                input_context gives the part of its worker, whose role the config has; any other gives the whole input,
                which is dealt out afterwards, and finds no other workers in the config.
            hooks: called around each step.
            steps: how many steps to make from where the model stands.
            max_steps: global step at which to stop; if it is reached already, nothing happens.
            saving_listeners: called around each save of a checkpoint.

        Returns:
            This estimator.

        Raises:
            ValueError: bad steps, input that does not fit the columns, a process that does not train by its
                role, or a cluster with too few CPUs for the workers.
            TypeError: something that is no hook or no listener.
            NanLossDuringTrainingError: the loss became NaN.
            InvalidArgumentError: a value that the model cannot take, such as a label out of range.
            DataLossError: a damaged checkpoint.
            FailedPreconditionError: another driver trains in model_dir.
            PermissionError: model_dir cannot be written.
            ResourceExhaustedError: the disk of model_dir is full; an OSError.
            AbortedError: a worker hung for longer than worker_timeout_secs, could not write its part of a checkpoint,
                or does not see the same model_dir, more often than max_failures.
            TrainingStoppedError: a signal asked it to stop; see `raydnn.train.stop_on_signals`.
        """
        config = self._config
        if config.task_type in (PS, EVALUATOR):
            raise ValueError(
                f"TF_CONFIG makes this process {config.task_type} {config.task_id}, which does not train: call "
                "train_and_evaluate, or unset TF_CONFIG"
            )
        checked_hooks = check_hooks(hooks, "hooks")
        listeners = check_listeners(saving_listeners)
        if steps is not None and max_steps is not None:
            raise ValueError(f"give steps ({steps}) or max_steps ({max_steps}), not both")
        for name, value in (("steps", steps), ("max_steps", max_steps)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive; got {value}")
        if not config.is_chief:
            logger.info("Nothing to do for worker %d: the chief's process starts all workers", config.task_id)
            return self
        # If damaged checkpoints are passed over, the chief says so.
        start = self._newest(report=False)
        if max_steps is not None and start is not None and start.global_step >= max_steps:
            logger.info("Training is skipped: global step %d has reached max_steps %d", start.global_step, max_steps)
            return self
        storage.check_writable(self.model_dir)
        with training_lock(self.model_dir):
            for name, content in self._kept.items():
                storage.write_bytes(storage.join(self.model_dir, name), content)
            # Again: whoever had the lock until now may have saved more.
            start = self._newest(report=False, opened=start)
            call, source = self._call(steps, max_steps, input_fn, start)
            job = TrainJob(
                model_fn=self._model_fn,
                params=self._params,
                config=self._config,
                model_dir=self.model_dir,
                input_fn=input_fn,
                source=source,
                call=call,
                hooks=checked_hooks,
                saving_listeners=listeners,
                warm_start=self._warm_start,
                start=start,
            )
            with noted(self.model_dir, call):
                get_launcher(self._config).launch(job)
                if is_stop_requested():
                    raise self._stopped()
        return self

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Compute the metrics of the model.

        With `RunConfig(num_evaluators=...)` the batches of a data set are dealt out to as many Ray actors, or to as
        many as find a free CPU. Each evaluates consecutive batches, and the sums over all of them give the same
        metrics. If one dies, another evaluates its batches. Batches that the user made, hooks (also those of the model
        function), a data set without end and a cluster without a free CPU keep evaluation in this process, and a log
        line says so.

        Args:
            input_fn: as for `train`.
            steps: how many batches at most; None goes to the end of the input.
            hooks: called around each batch.
            checkpoint_path: which checkpoint; None takes the latest. Without any, the model is evaluated as it is
                initialised, at global step 0.
            name: of this evaluation, if there are several; decides the folder of its summary.

        Returns:
            Metrics by name, `loss` (mean over batches of the batch loss) and `global_step`.

        Raises:
            ValueError: bad steps, an unknown checkpoint, or input that does not fit the columns.
            AbortedError: with `RunConfig(num_evaluators=...)`, processes that evaluate died again and again.
            DataLossError: a damaged checkpoint.
        """
        if steps is not None and (steps <= 0 or steps != int(steps)):
            raise ValueError(f"steps must be positive and whole; got {steps}")
        checked_hooks = check_hooks(hooks, "hooks")
        storage.check_writable(self.model_dir)
        checkpoint = self._checkpoint(checkpoint_path)
        if checkpoint is None:
            logger.info("There is no checkpoint in %s: evaluating the model as initialised", self.model_dir)
        metrics = evaluate_dealt(
            self._job(ModeKeys.EVAL, input_fn, checkpoint), None if steps is None else int(steps), checked_hooks
        )
        evaluation.write_eval_summary(self.eval_dir(name), metrics, None if checkpoint is None else checkpoint.path)
        record_evaluation(self.model_dir, self._config, metrics, name)
        return metrics

    def predict(
        self,
        input_fn: InputFn,
        predict_keys: Any = None,
        hooks: Sequence[SessionRunHook] | None = None,
        checkpoint_path: str | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Predict; nothing happens until the first `next`.

        Args:
            input_fn: as for `train`, labels not needed; called at the first `next`.
            predict_keys: which keys of the predictions to yield; None or empty yields all.
            hooks: called around each batch; `end` only if the input is read to its end.
            checkpoint_path: which checkpoint; None takes the latest, or the model as it is initialised.
            yield_single_examples: one dict per row, else one per batch.

        Yields:
            Predictions as NumPy arrays: logits, logistic, probabilities, class_ids, classes, all_class_ids,
            all_classes.

        Raises:
            ValueError: an unknown checkpoint, or no key remains.
            DataLossError: a damaged checkpoint.
        """
        checked_hooks = check_hooks(hooks, "hooks")
        checkpoint = self._checkpoint(checkpoint_path)
        model, stream = self._job(ModeKeys.PREDICT, input_fn, checkpoint).open()
        yield from predict(model, stream, predict_keys, yield_single_examples, checked_hooks)

    def predict_dataset(
        self,
        dataset: "ray.data.Dataset",
        predict_keys: Any = None,
        checkpoint_path: str | None = None,
        batch_size: int = 4096,
        concurrency: int | None = None,
        keep_order: bool = False,
        prefix: str = "",
    ) -> "ray.data.Dataset":
        """Predict the rows of a Ray Dataset with a pool of Ray actors, each with a model of its own.

        Nothing is read or predicted here: the result is a pipeline of Ray Data that runs when it is consumed, however
        many rows there are. The checkpoint is chosen here, and must stay until the pipeline has run.

        Args:
            dataset: one column per feature; others pass through, the label's too. A model function of the user's own
                gets all columns as features.
            predict_keys: which keys of the predictions to add; None or empty adds all.
            checkpoint_path: which checkpoint; None takes the latest, or the model as it is initialised.
            batch_size: how many rows an actor predicts at once.
            concurrency: how many actors, with one CPU each, and one GPU with `RunConfig(use_gpu=True)`; None starts as
                many as are of use, up to the CPUs that are free now less one for reading.
            keep_order: whether the rows stay in their order.
            prefix: what the names of the added columns begin with.

        Returns:
            The rows with a column for each prediction: plain for one value in a row, else a fixed-size list; class
            names are strings.

        Raises:
            ValueError: an unknown checkpoint, a bad number, or a cluster too small for the actors. What goes wrong
                later is raised where the pipeline runs, as an error of Ray's that is of its own type too: a ValueError
                for features that do not fit, for predictions that are no dict, whose key is none of predict_keys, or
                that have the name of a column.
        """
        predictor = self._table_predictor(predict_keys, checkpoint_path, prefix)
        # By name: this package knows no Ray.
        module = import_module("raydnn.distributed.prediction")
        return module.predict_dataset(dataset, predictor, batch_size, concurrency, keep_order)

    def predict_tables(
        self,
        tables: Iterable["pyarrow.Table"],
        predict_keys: Any = None,
        checkpoint_path: str | None = None,
        prefix: str = "",
    ) -> Iterator["pyarrow.Table"]:
        """Predict tables of rows one by one in this process, as `predict_dataset` does with a pool of actors.

        Args:
            tables: one column per feature; others pass through. Each table is predicted at once.
            predict_keys, checkpoint_path, prefix: see `predict_dataset`.

        Returns:
            The tables with a column for each prediction.

        Raises:
            ValueError: an unknown checkpoint; later, where a table is taken, rows that do not fit the model.
        """
        return map(self._table_predictor(predict_keys, checkpoint_path, prefix), tables)

    def export_saved_model(
        self,
        export_dir_base: str | PathLike[str],
        serving_input_receiver_fn: Callable[[], Any],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        experimental_mode: str = ModeKeys.PREDICT,
    ) -> bytes:
        """Export the model for serving; `raydnn.export.load` reads it.

        Args:
            export_dir_base: in which a folder named by the time in unix seconds is made.
            serving_input_receiver_fn: describes the input, such as `build_raw_serving_input_receiver_fn` makes.
            assets_extra: relative path in `assets.extra` -> file to copy there.
            as_text: accepted; the manifest is always readable text.
            checkpoint_path: which checkpoint; None takes the latest.
            experimental_mode: 'infer', or 'eval' or 'train' with a function that gives a `SupervisedInputReceiver`.

        Returns:
            The path of the export, as bytes.

        Raises:
            ValueError: no receiver function or one of a wrong kind, no checkpoint, or a model that cannot be written.
            InvalidArgumentError: a variable has another shape in the checkpoint.
        """
        if serving_input_receiver_fn is None:
            raise ValueError("serving_input_receiver_fn must be given")
        receiver_fns = {experimental_mode: serving_input_receiver_fn}
        return self._export_all_saved_models(export_dir_base, receiver_fns, assets_extra, as_text, checkpoint_path)

    def experimental_export_all_saved_models(
        self,
        export_dir_base: str | PathLike[str],
        input_receiver_fn_map: Mapping[str, Callable[[], Any]],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
    ) -> bytes:
        """Export the model in several modes at once; see `export_saved_model`.

        Args:
            export_dir_base, assets_extra, as_text, checkpoint_path: see there.
            input_receiver_fn_map: mode -> function that describes its input: a `ServingInputReceiver` for 'infer', a
                `SupervisedInputReceiver` for 'eval' and 'train', which become signatures of these names.

        Returns:
            The path of the export, as bytes.

        Raises:
            ValueError: a map without a known mode; see also there.
        """
        return self._export_all_saved_models(
            export_dir_base, input_receiver_fn_map, assets_extra, as_text, checkpoint_path
        )

    def export_savedmodel(
        self,
        export_dir_base: str | PathLike[str],
        serving_input_receiver_fn: Callable[[], Any],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        strip_default_attrs: bool = False,
    ) -> bytes:
        """The old name of `export_saved_model`; strip_default_attrs is accepted and not used."""
        return self.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )

    def _export_all_saved_models(
        self,
        export_dir_base: str | PathLike[str],
        input_receiver_fn_map: Mapping[str, Callable[[], Any]],
        assets_extra: Mapping[str, str] | None,
        as_text: bool,
        checkpoint_path: str | None,
    ) -> bytes:
        checkpoint = self._checkpoint(checkpoint_path)
        if checkpoint is not None:
            reader: VariableReader = checkpoint
        elif self._warm_start is not None:
            reader = open_variables(self._warm_start.ckpt_to_initialize_from)
        else:
            raise ValueError(f"there is no checkpoint in {self.model_dir} to export: train the model first")
        path = export_model(
            self._model_fn,
            self._params,
            self._config,
            input_receiver_fn_map,
            reader,
            fspath(export_dir_base),
            assets_extra,
        )
        record_export(self.model_dir, self._config, path)
        return path.encode()

    def has_reached(self, max_steps: int | None) -> bool:
        """Whether the model has made so many steps already, and `train` would do nothing; None is never reached."""
        newest = None if max_steps is None else self._newest(report=False)
        return max_steps is not None and newest is not None and newest.global_step >= max_steps

    def latest_checkpoint(self) -> str | None:
        """The path of the newest checkpoint in model_dir, or None."""
        return latest_checkpoint(self.model_dir)

    def eval_dir(self, name: str | None = None) -> str:
        """The folder of the summaries of an evaluation: model_dir/eval, or model_dir/eval_NAME."""
        return storage.join(self.model_dir, f"eval_{name}" if name else "eval")

    def get_variable_names(self) -> list[str]:
        """The names of all variables in the latest checkpoint, sorted.

        Raises:
            ValueError: there is no checkpoint.
        """
        return sorted(self._reader().get_variable_to_shape_map())

    def get_variable_value(self, name: str | Sequence[str]) -> NDArray[Any] | list[NDArray[Any]]:
        """The value of a variable in the latest checkpoint, or of each of a list of them.

        Args:
            name: as `get_variable_names` gives them; a trailing ':0' is ignored.

        Raises:
            ValueError: there is no checkpoint.
            NotFoundError: there is no such variable.
        """
        reader = self._reader()
        if isinstance(name, str):
            return reader.get_tensor(name.removesuffix(":0"))
        return [reader.get_tensor(each.removesuffix(":0")) for each in name]

    def open_for_evaluation(
        self, input_fn: InputFn, values: Mapping[str, NDArray[Any]], global_step: int
    ) -> tuple[Model, InputStream]:
        """A model in EVAL mode with given values of its variables, and its input.

        Args:
            input_fn: as for `evaluate`.
            values: by name; others are ignored.
            global_step: of the values.
        """
        model, stream = self._job(ModeKeys.EVAL, input_fn, None).open()
        model.set_values(values, global_step)
        return model, stream

    def with_one_evaluator(self) -> "Estimator":
        """This estimator, but it evaluates in the process that asks for it."""
        alone = copy.copy(self)
        alone._config = self._config.replace(num_evaluators=None)
        return alone

    def _table_predictor(self, predict_keys: Any, checkpoint_path: str | None, prefix: str) -> TablePredictor:
        return TablePredictor(
            self._model_fn,
            self._params,
            self._config,
            self._checkpoint(checkpoint_path),
            self._warm_start,
            self._seed,
            predict_keys,
            prefix,
        )

    def _job(self, mode: str, input_fn: InputFn, checkpoint: CheckpointReader | None) -> InferenceJob:
        source = local_source(input_fn, mode, self._params, self._config)
        return InferenceJob(
            self._model_fn, self._params, self._config, mode, source, checkpoint, self._warm_start, self._seed
        )

    def _reader(self) -> CheckpointReader:
        checkpoint = self._newest()
        if checkpoint is None:
            raise ValueError(f"there is no checkpoint in {self.model_dir}: train the model first")
        return checkpoint

    def _checkpoint(self, path: str | None) -> CheckpointReader | None:
        """The checkpoint to use: the given one, the latest, or None."""
        if not path:
            return self._newest()
        try:
            return CheckpointReader(str(path))
        except errors.NotFoundError as error:
            raise ValueError(f"checkpoint_path: {error}") from error

    def _newest(self, report: bool = True, opened: CheckpointReader | None = None) -> CheckpointReader | None:
        """The latest checkpoint, or the newest whole one if the config says so; see `open_newest`."""
        if self._config.recover:
            return open_newest(self.model_dir, recover=True, opened=opened, report=report)
        checkpoint = self.latest_checkpoint()  # a subclass may have its own
        return None if checkpoint is None else CheckpointReader(checkpoint)

    def _stopped(self) -> errors.TrainingStoppedError:
        """What to raise when training was asked to stop, and did."""
        number, newest = requesting_signal(), self._newest(report=False)
        asked = "a request" if number is None else number.name
        saved = "no checkpoint was saved" if newest is None else f"the checkpoint {newest.path} is saved"
        message = f"training was stopped by {asked}: {saved}. Run the same program again to go on"
        return errors.TrainingStoppedError(message, number)

    def _call(
        self, steps: int | None, max_steps: int | None, input_fn: InputFn, start: CheckpointReader | None
    ) -> tuple[TrainCall, Input | None]:
        """The call to make, a new one or one that was cut short, and what its input_fn returned, as of `_source`."""
        step = warm_start_step(self._warm_start) if start is None else start.global_step
        position = None if start is None else start.manifest.input_position
        given = self._config.tf_random_seed
        # Without a given seed each call has a fresh one, as in TensorFlow: rows come in another order each time.
        new = TrainCall(step, steps, max_steps, given, secrets.randbits(31) if given is None else given)
        source = self._source(input_fn)
        cut_short = read_call(self.model_dir)
        if cut_short is None:
            return new, source
        if source is not None:
            # Whether this is the input of that call shows in its rows.
            source = resolve_source(source, make_reader(self._model_fn, ModeKeys.TRAIN).preparer)
        return call_to_make(new, cut_short, source, position), source

    def _source(self, input_fn: InputFn) -> Input | None:
        """What an input_fn returned for training; None if each worker must call it itself."""
        is_local = self._config.num_workers is None
        if not is_local and wants_input_context(input_fn):
            return None
        config = self._config.for_whole_input()
        source = call_input_fn(input_fn, ModeKeys.TRAIN, self._params, config, InputContext())
        if isinstance(source, Dataset) and not isinstance(source.source, RayDatasetSource):
            source.check_has_batches()
        return source if is_local or isinstance(source, Dataset) else None


def _temporary_folder() -> str:
    folder = tempfile.mkdtemp(prefix="raydnn-")
    logger.warning("No model_dir is given: using the temporary folder %s", folder)
    return folder
