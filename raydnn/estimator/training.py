"""One call of `Estimator.train`, as a value that can be sent to workers and run there."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from raydnn import errors
from raydnn.estimator.estimator_spec import EstimatorSpec
from raydnn.estimator.mode_keys import ModeKeys
from raydnn.estimator.model import Model
from raydnn.estimator.model_fn import ModelFn
from raydnn.estimator.run_config import RunConfig
from raydnn.estimator.streams import make_reader, resolve_source, unit_map
from raydnn.estimator.train_call import TrainCall, tell_where_input_goes_on
from raydnn.estimator.warm_start import WarmStartSettings, open_variables, warm_start
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.first_rows import FirstRows
from raydnn.inputs.input_fn import Input, InputContext, InputFn, call_input_fn, wants_input_context
from raydnn.inputs.prepare import EncodingPreparer
from raydnn.inputs.stream import open_stream
from raydnn.tracking.event_file import EventFileWriter
from raydnn.tracking.hooks import MLflowHook
from raydnn.tracking.mlflow_run import MlflowRun
from raydnn.tracking.settings import MLflowSettings
from raydnn.train.checkpoint import CheckpointReader, CheckpointStore, open_newest, tidy_up
from raydnn.train.hooks import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    NanTensorHook,
    SessionRunHook,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)
from raydnn.train.hooks.logging_tensor import log_loss_and_step
from raydnn.train.hooks.progress import ProgressHook, ProgressSink
from raydnn.train.hooks.session_run_hook import Session
from raydnn.train.loop import LoopSession, train_loop
from raydnn.train.memory import keep_freed_memory
from raydnn.train.replicas import Replicas
from raydnn.train.row_counter import EpochSize, RowCounter
from raydnn.train.step_times import StepTimes, TimedReplicas, described
from raydnn.train.stopping import StopOnRequestHook, is_stop_requested

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainJob:
    """Everything that a worker needs to train.

    Attributes:
        model_fn, params, config, model_dir: of the estimator.
        input_fn: called by each worker where `source` is None.
        source: what the input_fn returned, if it was called already.
        call: the arguments of the call, where it began, and its seed, the same for all workers.
        hooks, saving_listeners: of the user; each worker has its own copy.
        warm_start: what to take from an earlier model where model_dir has no checkpoint, or None.
        start: the checkpoint that training goes on from, or None.
    """

    model_fn: ModelFn
    params: Mapping[str, Any]
    config: RunConfig
    model_dir: str
    input_fn: InputFn
    source: Input | None
    call: TrainCall
    hooks: Sequence[SessionRunHook]
    saving_listeners: Sequence[CheckpointSaverListener]
    warm_start: WarmStartSettings | None
    start: CheckpointReader | None

    @property
    def total_steps(self) -> int | None:
        """How many steps this call will make, as far as that is known."""
        from_input = self.source.num_batches if isinstance(self.source, Dataset) else None
        from_limit = None if self.call.last_step is None else self.call.last_step - self.call.start_step
        known = [steps for steps in (from_input, from_limit) if steps is not None]
        return min(known) if known else None

    def run(
        self,
        replicas: Replicas,
        sink: ProgressSink | None,
        is_stop_requested: Callable[[], bool] = is_stop_requested,
        is_checkpoint_due: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train on one replica; all replicas of the group call it.

        Args:
            replicas: the group.
            sink: takes reports of progress, on the chief.
            is_stop_requested: whether training is to stop after the current step; the chief asks after each.
            is_checkpoint_due: whether to save a checkpoint beside the usual times; the chief asks after each step.
        """
        times = StepTimes()
        if replicas.size > 1:
            replicas = TimedReplicas(replicas, times)
        config = self._role(replicas)
        device = "cuda" if self.config.use_gpu else "cpu"
        keep_freed_memory()
        reader = make_reader(self.model_fn, ModeKeys.TRAIN, replicas.rank, replicas.size, device)
        source = resolve_source(self._source(replicas), reader.preparer)
        is_own_shard = replicas.size > 1 and wants_input_context(self.input_fn)
        with ExitStack() as stack:
            is_chief = replicas.rank == 0
            restored = open_newest(self.model_dir, self.config.recover, self.start, report=is_chief)
            own = "" if restored is None else restored.path
            chosen = replicas.share(own)
            if own != chosen:
                raise errors.AbortedError(
                    f"worker {replicas.rank} finds the checkpoint {own!r} where the chief finds {chosen!r}: all nodes "
                    "must see the same model_dir"
                )
            cursor = None
            if restored is not None:
                # What each worker has read of an input of its own is not known.
                position = None if is_own_shard else restored.manifest.input_position
                cursor = self.call.cursor(source, restored.global_step, position)
                if is_chief:
                    tell_where_input_goes_on(self.model_dir, self.call, restored.global_step, cursor)
            engine = unit_map(self.config.input_engine, source, self.config.num_workers is not None)
            watch = None
            if is_chief and isinstance(reader.preparer, EncodingPreparer):
                watch = FirstRows(reader.preparer.encoder, self.model_dir).watch
            stream = open_stream(source, reader, engine, is_own_shard, cursor, not is_own_shard, watch)
            stack.callback(stream.close)
            model = Model(self.model_fn, self.params, config, ModeKeys.TRAIN, self.call.seed, replicas, device, times)
            spec = model.build(stream.empty, values_are_drawn=restored is None)
            if restored is not None:
                model.restore(restored)
                logger.info("Restored %s", restored.path)
            elif self.warm_start is not None:
                warm_start(model, self.warm_start, open_variables(self.warm_start.ckpt_to_initialize_from))
            if restored is None and spec.scaffold is not None and spec.scaffold.init_fn is not None:
                spec.scaffold.init_fn(spec.scaffold, LoopSession(model, model.train))
            chief_hooks: list[SessionRunHook] = []
            if is_chief:
                tidy_up(self.model_dir, restored)
                writer = stack.enter_context(EventFileWriter(self.model_dir))
                chief_hooks = [*self._saver_hooks(spec), *spec.training_chief_hooks]
                chief_hooks += self._reporting_hooks(writer, sink, stack)
            hooks = [*chief_hooks, *self._hooks(), *spec.training_hooks]
            if is_chief:
                # The last one: a request during the hooks of a step ends that very step.
                hooks.append(StopOnRequestHook(is_stop_requested))
                for saver in [hook for hook in hooks if isinstance(hook, CheckpointSaverHook)][:1]:
                    saver.save_when(is_checkpoint_due)
            else:
                # Only the chief saves checkpoints.
                hooks = [hook for hook in hooks if not isinstance(hook, CheckpointSaverHook)]
            first_step = model.global_step
            counter = RowCounter(
                self.model_dir,
                replicas,
                self.call.start_step,
                EpochSize.of(source),
                is_own_shard,
                first_step,
                cursor,
                device,
            )
            train_loop(model, stream.batches, stream.empty, hooks, replicas, stream.data_fingerprint, times, counter)
            if is_chief and model.global_step > first_step:
                logger.info("%s", described(times.seconds, model.global_step - first_step))

    def _role(self, replicas: Replicas) -> RunConfig:
        """The settings as this replica's model function sees them."""
        is_local = self.config.num_workers is None
        return self.config if is_local else self.config.for_replica(replicas.rank, replicas.size)

    def _source(self, replicas: Replicas) -> Input:
        source = self.source
        if source is None:
            context = InputContext(replicas.size, replicas.rank, replicas.size)
            config = self._role(replicas) if wants_input_context(self.input_fn) else self.config.for_whole_input()
            source = call_input_fn(self.input_fn, ModeKeys.TRAIN, self.params, config, context)
        return source.with_seed(self.call.seed) if isinstance(source, Dataset) else source

    def _hooks(self) -> list[SessionRunHook]:
        """The hooks of every replica, in TensorFlow's order."""
        hooks = list(self.hooks)
        if self.call.last_step is not None:
            hooks.append(_StopAtLastStep(last_step=self.call.last_step))
        hooks.append(NanTensorHook())
        if self.config.log_step_count_steps is not None:
            hooks.append(log_loss_and_step(self.config.log_step_count_steps))
        return hooks

    def _reporting_hooks(
        self, writer: EventFileWriter, sink: ProgressSink | None, stack: ExitStack
    ) -> list[SessionRunHook]:
        """The hooks of the chief that tell the world how training gets on."""
        config = self.config
        hooks: list[SessionRunHook] = []
        if config.log_step_count_steps is not None:
            hooks.append(StepCounterHook(config.log_step_count_steps, summary_writer=writer))
        if config.save_summary_steps:
            hooks.append(SummarySaverHook(config.save_summary_steps, summary_writer=writer))
        if isinstance(config.tracking, MLflowSettings):
            run = MlflowRun(self.model_dir, config.tracking)
            stack.push(lambda kind, error, trace: run.finish("FAILED") if error is not None else None)
            hooks.append(MLflowHook(run, self._parameters()))
        if sink is not None:
            total = self.total_steps
            hooks.append(ProgressHook(sink, None if total is None else self.call.start_step + total))
        return hooks

    def _saver_hooks(self, spec: EstimatorSpec) -> list[CheckpointSaverHook]:
        """The hook that saves checkpoints, unless the user or the model function brought one, or none is wanted.

        Raises:
            ValueError: there are listeners but nothing to listen to.
        """
        config = self.config
        given = [*self.hooks, *spec.training_chief_hooks, *spec.training_hooks]
        own = [hook for hook in given if isinstance(hook, CheckpointSaverHook)]
        made = []
        if not own and config.saves_checkpoints:
            store = CheckpointStore(
                self.model_dir,
                config.keep_checkpoint_max,
                config.keep_checkpoint_every_n_hours,
                config.to_json(),
            )
            secs = config.save_checkpoints_secs or None
            made.append(CheckpointSaverHook(self.model_dir, secs, config.save_checkpoints_steps, store=store))
        if self.saving_listeners:
            if not (own or made):
                raise ValueError("saving_listeners need checkpoints, but save_checkpoints_steps and _secs are off")
            (own or made)[0].add_listeners(self.saving_listeners)
        return made

    def _parameters(self) -> dict[str, Any]:
        """What MLflow shows of this run."""
        describe = getattr(self.model_fn, "describe", dict)
        return {**describe(), **self.params, "seed": self.call.seed, "num_workers": self.config.num_workers or 1}


class _StopAtLastStep(StopAtStepHook):
    """Makes no step either where a call that goes on was cut short after its last one."""

    def after_create_session(self, session: Session, coord: Any) -> None:
        super().after_create_session(session, coord)
        assert self._last_step is not None
        if session.global_step >= self._last_step:
            coord.request_stop()
