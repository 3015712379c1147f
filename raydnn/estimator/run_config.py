"""Settings of a run."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike, fspath
from typing import Any, get_args

from raydnn.inputs.ordered_map import Engine
from raydnn.tracking.settings import MLflowSettings

DEFAULT_SAVE_CHECKPOINTS_SECS = 600
_UNSET: Any = object()


@dataclass(frozen=True)
class RunConfig:
    """How, where and with how many workers an estimator runs.

    The first 17 arguments are those of `tf.compat.v1.estimator.RunConfig`, the others are ours. Attributes cannot be
    set; `replace` makes a changed copy.

    Attributes:
        model_dir: where checkpoints and summaries go; local, or any fsspec URL.
        tf_random_seed: of initial values, dropout and shuffles; None draws one for each run.
        save_summary_steps: steps between summaries; 0 or None writes none.
        save_checkpoints_steps: steps between checkpoints.
        save_checkpoints_secs: seconds between checkpoints; 600 if neither is given. Both None or 0: no checkpoints.
        session_config: accepted and not used.
        keep_checkpoint_max: how many checkpoints stay; 0 or None keeps all.
        keep_checkpoint_every_n_hours: one checkpoint every so many hours stays for good.
        log_step_count_steps: steps between log lines; None logs neither steps nor losses.
        train_distribute, device_fn, protocol, eval_distribute, experimental_distribute: of TensorFlow's runtime; must
            be None, as `num_workers` takes their place.
        experimental_max_worker_delay_secs, session_creation_timeout_secs, checkpoint_save_graph_def: accepted and not
            used.
        num_workers: data-parallel workers run by Ray Train; None trains in this process.
        use_gpu: whether each worker has a GPU.
        resources_per_worker: Ray resources of each worker; None is one CPU (and one GPU with use_gpu).
        max_failures: how often the workers are restarted from the last checkpoint after one has died.
        storage: where Ray Train keeps its own state while it runs; None is a folder in model_dir.
        tracking: 'mlflow' or MLflowSettings to track the run with MLflow; None for TensorBoard alone.
        input_engine: what reads and encodes ahead: 'auto', 'inline', 'thread' or 'ray_data'. It never changes a batch.
        progress: whether training draws a progress line in the terminal.
        recover: what to do if the newest checkpoint is damaged: True warns and takes the newest whole one before it in
            the file `checkpoint`, which then forgets the damaged ones when training starts; False raises
            DataLossError.

    Raises:
        ValueError: a value out of its range; the message names it.
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
    num_workers: int | None = field(default=None, kw_only=True)
    use_gpu: bool = field(default=False, kw_only=True)
    resources_per_worker: Mapping[str, float] | None = field(default=None, kw_only=True)
    max_failures: int = field(default=0, kw_only=True)
    storage: str | None = field(default=None, kw_only=True)
    tracking: str | MLflowSettings | None = field(default=None, kw_only=True)
    input_engine: Engine | str = field(default="auto", kw_only=True)
    progress: bool = field(default=False, kw_only=True)
    recover: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        steps, secs = self.save_checkpoints_steps, self.save_checkpoints_secs
        if steps is _UNSET and secs is _UNSET:
            secs = DEFAULT_SAVE_CHECKPOINTS_SECS
        steps, secs = (None if value is _UNSET else value for value in (steps, secs))
        if steps is not None and secs is not None:
            raise ValueError(f"give save_checkpoints_steps ({steps}) or save_checkpoints_secs ({secs}), not both")
        object.__setattr__(self, "save_checkpoints_steps", steps)
        object.__setattr__(self, "save_checkpoints_secs", secs)
        if self.model_dir is not None:
            object.__setattr__(self, "model_dir", _path(self.model_dir))
        if self.tracking == "mlflow":
            object.__setattr__(self, "tracking", MLflowSettings())
        _check(self)

    def replace(self, **changes: Any) -> "RunConfig":
        """A deep copy with other values; the arguments are those of the constructor.

        Setting one of save_checkpoints_steps and save_checkpoints_secs clears the other.

        Raises:
            ValueError: an unknown name or a bad value.
        """
        known = {field.name for field in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"RunConfig has no argument {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        if changes.get("save_checkpoints_steps") is not None:
            changes.setdefault("save_checkpoints_secs", None)
        if changes.get("save_checkpoints_secs") is not None:
            changes.setdefault("save_checkpoints_steps", None)
        return replace(copy.deepcopy(self), **changes)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief; it always is outside a worker."""
        return True

    @property
    def saves_checkpoints(self) -> bool:
        """Whether checkpoints are saved at all."""
        return bool(self.save_checkpoints_steps or self.save_checkpoints_secs)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values, for a checkpoint's manifest."""
        plain = (bool, int, float, str, type(None))
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value if isinstance(value, plain) else str(value) for name, value in values.items()}


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
        "num_workers": 1,
    }
    for name, least in at_least.items():
        value = getattr(config, name)
        if value is not None and value < least:
            raise ValueError(f"{name} must be {least} or more; got {value}")
    if config.keep_checkpoint_every_n_hours is None:
        raise ValueError("keep_checkpoint_every_n_hours must be a positive number; got None")
    for name in ("keep_checkpoint_every_n_hours", "log_step_count_steps", "session_creation_timeout_secs"):
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
    if not isinstance(config.recover, bool):
        raise ValueError(f"recover must be True or False; got {config.recover!r}")
    engines = ("auto", *get_args(Engine))
    if config.input_engine not in engines:
        raise ValueError(f"input_engine must be one of {', '.join(engines)}; got {config.input_engine!r}")
