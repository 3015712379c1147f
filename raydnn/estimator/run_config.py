"""Settings of a run."""

import copy
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from os import PathLike, fspath
from typing import Any, get_args

from raydnn.estimator.tf_config import TaskConfig, describe_roles, read_task_config
from raydnn.inputs.ordered_map import Engine
from raydnn.tracking.settings import MLflowSettings

logger = logging.getLogger(__name__)

DEFAULT_SAVE_CHECKPOINTS_SECS = 600
COMPUTE_DTYPES = ("float32", "bfloat16")
_UNSET: Any = object()


@dataclass(frozen=True)
class RunConfig:
    """How, where and with how many workers an estimator runs.

    The first 17 arguments are those of `tf.compat.v1.estimator.RunConfig`, the others are ours. Attributes cannot be
    set; `replace` makes a changed copy. The environment variable TF_CONFIG is read when a config is constructed: it may
    give this process a role in a cluster, the defaults of num_workers and num_ps_replicas, and the model_dir.

    Attributes:
        model_dir: where checkpoints and summaries go; local, or any fsspec URL. None takes that of TF_CONFIG.
        tf_random_seed: of initial values, dropout and shuffles; None draws one for each call of train.
        save_summary_steps: steps between summaries; 0 or None writes none.
        save_checkpoints_steps: steps between checkpoints.
        save_checkpoints_secs: seconds between checkpoints; 600 if neither is given. Both None or 0: no checkpoints.
        session_config: accepted and not used.
        keep_checkpoint_max: how many checkpoints stay; 0 or None keeps all.
        keep_checkpoint_every_n_hours: one checkpoint every so many hours stays for good.
        log_step_count_steps: steps between log lines; None logs neither steps nor losses, nor writes global_step/sec
            for TensorBoard.
        train_distribute, eval_distribute, experimental_distribute: of TensorFlow's runtime; must be None, as
            `num_workers` takes their place.
        device_fn, protocol: accepted and not used: a callable with the one argument 'op', and 'grpc' or 'grpc+verbs'.
        experimental_max_worker_delay_secs, session_creation_timeout_secs, checkpoint_save_graph_def: accepted and not
            used.
        num_workers: data-parallel workers run by Ray Train; None takes the chief and workers of TF_CONFIG if there are
            several, or else trains in this process. A pair (least, most) is elastic: training starts with as many of
            the most as the cluster has room for, goes on with fewer when nodes are lost, and grows again when they
            return. Each change goes on from the last checkpoint; it needs max_failures > 0.
        num_ps_replicas: into how many slices large embedding tables are cut; None takes the number of parameter servers
            in TF_CONFIG, or else 0.
        use_gpu: whether training uses a GPU: one in each worker, or without workers that of this process. So do the
            actors of num_evaluators and `Estimator.predict_dataset`, and `Estimator.predict_tables`; `evaluate` and
            `predict` in this process, and what evaluates beside workers, use CPUs.
        resources_per_worker: Ray resources of each worker; None is one CPU (and one GPU with use_gpu).
        max_failures: how often the workers are restarted from the last checkpoint after one has died or hangs.
        worker_timeout_secs: how long workers wait for each other in a step before they take one for hanging, which
            counts as a failure. It must be longer than the longest time that one worker keeps the others waiting: with
            a checkpoint, a hook, or its first batch.
        num_evaluators: to how many Ray actors, with one CPU each (and one GPU with use_gpu), `Estimator.evaluate` deals
            the batches of a data set; None or 1 evaluates in the process that calls it. The process that evaluates
            beside workers in `train_and_evaluate` does so by itself, as it takes no CPUs from them.
        compute_dtype: 'float32', or 'bfloat16' to multiply the matrices of a DNNClassifier's hidden layers in bfloat16
            while it trains, which processors with units for it do several times faster. Weights, slots, embeddings,
            batch normalisation and the loss stay float32, and so do evaluation, prediction and export.
        storage: where Ray Train keeps its own state while it runs; None is a folder in model_dir.
        tracking: 'mlflow' or MLflowSettings to track the run with MLflow; None for TensorBoard alone.
        input_engine: what reads and encodes ahead: 'inline', 'thread', 'ray_tasks' or 'ray_data'; 'auto' takes tasks
            for files where workers leave two CPUs of the cluster free, else a thread. It never changes a batch.
        progress: whether training draws a progress line in the terminal.
        recover: what to do if the newest checkpoint is damaged: True warns and takes the newest whole one before it in
            the file `checkpoint`, which then forgets the damaged ones when training starts; False raises
            DataLossError.

    Raises:
        ValueError: a value out of its range, or a TF_CONFIG that there cannot be; the message names it.
        TypeError: a value of TF_CONFIG of another type.
    """

    model_dir: str | None = None
    tf_random_seed: int | None = None
    save_summary_steps: int | None = 100
    save_checkpoints_steps: int | None = _UNSET
    save_checkpoints_secs: int | None = _UNSET
    session_config: Any = None
    keep_checkpoint_max: int | None = 5
    keep_checkpoint_every_n_hours: float = 10000
    log_step_count_steps: int | None = 100
    train_distribute: None = None
    device_fn: Any = None
    protocol: str | None = None
    eval_distribute: None = None
    experimental_distribute: None = None
    experimental_max_worker_delay_secs: int | None = None
    session_creation_timeout_secs: int = 7200
    checkpoint_save_graph_def: bool = True
    num_workers: int | tuple[int, int] | None = field(default=None, kw_only=True)
    num_ps_replicas: int | None = field(default=None, kw_only=True)
    use_gpu: bool = field(default=False, kw_only=True)
    resources_per_worker: Mapping[str, float] | None = field(default=None, kw_only=True)
    max_failures: int = field(default=0, kw_only=True)
    worker_timeout_secs: float = field(default=300, kw_only=True)
    num_evaluators: int | None = field(default=None, kw_only=True)
    compute_dtype: str = field(default="float32", kw_only=True)
    storage: str | None = field(default=None, kw_only=True)
    tracking: str | MLflowSettings | None = field(default=None, kw_only=True)
    input_engine: Engine | str = field(default="auto", kw_only=True)
    progress: bool = field(default=False, kw_only=True)
    recover: bool = field(default=False, kw_only=True)
    _task: TaskConfig = field(init=False, repr=False, hash=False)

    def __post_init__(self) -> None:
        steps, secs = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is _UNSET and secs is _UNSET:
            secs = DEFAULT_SAVE_CHECKPOINTS_SECS
        steps, secs = (None if value is _UNSET else value for value in (steps, secs))
        task = read_task_config()
        self._set(save_checkpoints_steps=steps, save_checkpoints_secs=secs, _task=task)
        self._settle()
        if task.model_dir is not None and self.model_dir not in (None, task.model_dir):
            raise ValueError(
                f"model_dir is {self.model_dir!r} as argument and {task.model_dir!r} in TF_CONFIG; give one"
            )
        self._set(model_dir=self.model_dir or task.model_dir)
        if not task.is_local:
            _log_once(describe_roles(task, self.worker_range, self.num_ps_replicas or 0))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _settle(self) -> None:
        """Bring the values into their final form, and check them."""
        steps, secs = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is not None and secs is not None:
            raise ValueError(f"give save_checkpoints_steps ({steps}) or save_checkpoints_secs ({secs}), not both")
        if self.model_dir is not None:
            self._set(model_dir=_path(self.model_dir))
        if self.tracking == "mlflow":
            self._set(tracking=MLflowSettings())
        if self.num_workers is None and self._task.num_worker_replicas > 1:
            self._set(num_workers=self._task.num_worker_replicas)
        if self.num_ps_replicas is None:
            self._set(num_ps_replicas=self._task.num_ps_replicas)
        _check(self)

    def replace(self, **changes: Any) -> "RunConfig":
        """A deep copy with other values; the arguments are those of the constructor.

        Setting one of save_checkpoints_steps and save_checkpoints_secs clears the other. The role of the process stays:
        TF_CONFIG is not read again.

        Raises:
            ValueError: an unknown name or a bad value.
        """
        known = {field.name for field in fields(self) if field.init}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"RunConfig has no argument {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        if changes.get("save_checkpoints_steps") is not None:
            changes.setdefault("save_checkpoints_secs", None)
        if changes.get("save_checkpoints_secs") is not None:
            changes.setdefault("save_checkpoints_steps", None)
        changed = copy.deepcopy(self)
        changed._set(**changes)
        changed._settle()
        return changed

    def for_replica(self, rank: int, size: int) -> "RunConfig":
        """These settings as one of several workers sees them: rank 0 as the chief, others as worker rank - 1."""
        replica = copy.copy(self)
        replica._set(_task=self._task.for_replica(rank, size, self.num_ps_replicas or 0))
        return replica

    def for_whole_input(self) -> "RunConfig":
        """These settings for an input_fn whose input is dealt out to the workers afterwards.

        It must not find others to leave rows to: it sees a single worker.
        """
        return self if self.num_workers is None else self.for_replica(0, 1)

    @property
    def worker_range(self) -> tuple[int, int] | None:
        """The least and the most data-parallel workers; None to train in this process."""
        workers = self.num_workers
        return (workers, workers) if isinstance(workers, int) else workers

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change while they train."""
        return isinstance(self.num_workers, tuple)

    @property
    def cluster_spec(self) -> dict[str, tuple[str, ...]]:
        """Job -> addresses; empty for a process on its own and for an evaluator."""
        return dict(self._task.cluster_spec)

    @property
    def task_type(self) -> str:
        """The job of this process: 'chief', 'master', 'worker', 'ps' or 'evaluator'; 'worker' for one on its own."""
        return self._task.task_type

    @property
    def task_id(self) -> int:
        """The place of this process in its job."""
        return self._task.task_id

    @property
    def global_id_in_cluster(self) -> int | None:
        """The place of this process in the cluster: the chief is 0; None for an evaluator."""
        return self._task.global_id_in_cluster

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief; one on its own is."""
        return self._task.is_chief

    @property
    def num_worker_replicas(self) -> int:
        """How many processes of the cluster train, the chief included; 0 for an evaluator."""
        return self._task.num_worker_replicas

    @property
    def master(self) -> str:
        """What TF_CONFIG says of the session's address; nothing connects to it."""
        return self._task.master

    @property
    def evaluation_master(self) -> str:
        """What TF_CONFIG says of the address of an evaluator's session; nothing connects to it."""
        return self._task.evaluation_master

    @property
    def service(self) -> dict[str, Any] | None:
        """The `service` of TF_CONFIG."""
        return copy.deepcopy(self._task.service)

    @property
    def saves_checkpoints(self) -> bool:
        """Whether checkpoints are saved at all."""
        return bool(self.save_checkpoints_steps or self.save_checkpoints_secs)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values, for a checkpoint's manifest."""
        plain = (bool, int, float, str, type(None))
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.init}
        return {name: value if isinstance(value, plain) else str(value) for name, value in values.items()}


@cache
def _log_once(roles: str) -> None:
    logger.info("%s", roles)


def _path(model_dir: str | PathLike[str]) -> str:
    path = fspath(model_dir)
    if path == "":
        raise ValueError("model_dir must not be empty; leave it out for a temporary folder")
    return path


def _check(config: RunConfig) -> None:
    at_least = {
        "save_summary_steps": 0,
        "save_checkpoints_steps": 0,
        "save_checkpoints_secs": 0,
        "keep_checkpoint_max": 0,
        "max_failures": 0,
        "num_ps_replicas": 0,
    }
    for name, least in at_least.items():
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"{name} must be {least} or more; got {value}")
    _check_workers(config)
    evaluators = config.num_evaluators
    if evaluators is not None and (not isinstance(evaluators, int) or evaluators < 1):
        raise ValueError(
            f"num_evaluators must be 1 or more, or None to evaluate in the process that asks for it; got {evaluators!r}"
        )
    if config.keep_checkpoint_every_n_hours is None:
        raise ValueError("keep_checkpoint_every_n_hours must be a positive number; got None")
    positive = (
        "keep_checkpoint_every_n_hours",
        "log_step_count_steps",
        "session_creation_timeout_secs",
        "worker_timeout_secs",
    )
    for name in positive:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} must be positive; got {value}")
    for name in ("tf_random_seed", "experimental_max_worker_delay_secs"):
        value = getattr(config, name)
        if value is not None and not isinstance(value, int):
            raise ValueError(f"{name} must be an int; got {value!r}")
    for name in ("train_distribute", "eval_distribute", "experimental_distribute"):
        if getattr(config, name) is not None:
            raise ValueError(f"{name} is not supported: give num_workers instead")
    device_fn = config.device_fn
    if device_fn is not None and not (callable(device_fn) and list(inspect.signature(device_fn).parameters) == ["op"]):
        raise ValueError("device_fn must be callable with exactly one argument named 'op'")
    if config.protocol not in (None, "grpc", "grpc+verbs"):
        raise ValueError(f"protocol must be None, 'grpc' or 'grpc+verbs'; got {config.protocol!r}")
    if config.tracking is not None and not isinstance(config.tracking, MLflowSettings):
        raise ValueError(f"tracking must be 'mlflow', MLflowSettings or None; got {config.tracking!r}")
    if config.compute_dtype not in COMPUTE_DTYPES:
        raise ValueError(f"compute_dtype must be one of {', '.join(COMPUTE_DTYPES)}; got {config.compute_dtype!r}")
    if not isinstance(config.recover, bool):
        raise ValueError(f"recover must be True or False; got {config.recover!r}")
    engines = ("auto", *get_args(Engine))
    if config.input_engine not in engines:
        raise ValueError(f"input_engine must be one of {', '.join(engines)}; got {config.input_engine!r}")


def _check_workers(config: RunConfig) -> None:
    workers = config.num_workers
    if workers is None:
        return
    if not config.is_elastic:
        if not isinstance(workers, int) or workers < 1:
            raise ValueError(f"num_workers must be 1 or more, or a pair (least, most); got {workers!r}")
        return
    assert isinstance(workers, tuple)
    if len(workers) != 2 or not all(isinstance(number, int) for number in workers) or not 1 <= workers[0] <= workers[1]:
        raise ValueError(f"num_workers as a pair must be two ints (least, most) with 1 <= least <= most; got {workers}")
    if config.max_failures < 1:
        raise ValueError(
            f"num_workers={workers} needs max_failures of 1 or more, as a lost node is a failure; got "
            f"{config.max_failures}"
        )
    if config.input_engine == "ray_data":
        # Ray Train counts all CPUs of the cluster as room for workers: there may be none left to read with.
        raise ValueError(f"input_engine='ray_data' needs a fixed number of workers; got num_workers={workers}")
