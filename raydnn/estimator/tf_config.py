"""TF_CONFIG: which role in which cluster this process has been given."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

CHIEF, MASTER, WORKER, PS, EVALUATOR = ROLES = ("chief", "master", "worker", "ps", "evaluator")
_VARIABLE = "TF_CONFIG"


@dataclass(frozen=True)
class TaskConfig:
    """The role of one process; without arguments that of a process on its own.

    Attributes:
        cluster_spec: job -> addresses; empty for a process on its own, and for an evaluator, which is no part of the
            cluster that trains.
        task_type, task_id: the job, and the place in it.
        session_master, eval_session_master: what takes the place of the addresses, if given.
        service: passed on as it is.
        model_dir: where checkpoints and summaries go, if given.
    """

    cluster_spec: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task_type: str = WORKER
    task_id: int = 0
    session_master: str | None = None
    eval_session_master: str | None = None
    service: dict[str, Any] | None = None
    model_dir: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is a process on its own."""
        return self.task_type == WORKER and not self.cluster_spec

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief; one on its own is."""
        return self.is_local or self.task_type in (CHIEF, MASTER)

    @property
    def num_ps_replicas(self) -> int:
        """How many parameter servers there are."""
        return len(self.cluster_spec.get(PS, ()))

    @property
    def num_worker_replicas(self) -> int:
        """How many processes train, the chief included."""
        return 1 if self.is_local else sum(len(self.cluster_spec.get(job, ())) for job in (CHIEF, MASTER, WORKER))

    @property
    def global_id_in_cluster(self) -> int | None:
        """The place among all processes: the chief, then the others by the names of their jobs, last those of ps."""
        if self.task_type == EVALUATOR:
            return None
        jobs = sorted(self.cluster_spec, key=lambda job: (job == PS, job not in (CHIEF, MASTER), job))
        before = jobs[: jobs.index(self.task_type)] if jobs else []
        return sum(len(self.cluster_spec[job]) for job in before) + self.task_id

    @property
    def master(self) -> str:
        """The address of this process's session, '' for one that needs no other process."""
        if self.task_type == EVALUATOR:
            return ""
        if self.session_master is not None:
            return self.session_master
        is_alone = sum(map(len, self.cluster_spec.values())) <= 1
        return "" if is_alone else f"grpc://{self.cluster_spec[self.task_type][self.task_id]}"

    @property
    def evaluation_master(self) -> str:
        """The address of the session that evaluates, if one is given to an evaluator or a process on its own."""
        return (self.eval_session_master or "") if self.is_local or self.task_type == EVALUATOR else ""

    def for_replica(self, rank: int, size: int, num_ps_replicas: int) -> "TaskConfig":
        """The role of one of a number of workers that this process starts; rank 0 is the chief.

        Addresses are those of the cluster as far as it has them: nobody listens there.
        """
        chief = MASTER if MASTER in self.cluster_spec else CHIEF
        counts = {chief: 1, WORKER: size - 1, PS: num_ps_replicas}
        return replace(
            self,
            cluster_spec={job: self._addresses(job, count) for job, count in counts.items() if count},
            task_type=WORKER if rank else chief,
            task_id=max(0, rank - 1),
            session_master=None,
        )

    def _addresses(self, job: str, count: int) -> tuple[str, ...]:
        given = self.cluster_spec.get(job, ())[:count]
        return given + tuple(f"ray-{job}-{index}:0" for index in range(len(given), count))


def read_task_config() -> TaskConfig:
    """What the environment variable TF_CONFIG says of this process; a process on its own where it is absent.

    Raises:
        ValueError: it is no JSON, or describes a cluster or a role that there cannot be.
        TypeError: a value of another type.
    """
    text = os.environ.get(_VARIABLE)
    if text is None:
        return TaskConfig()
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(
            f"{_VARIABLE} is no JSON; correct it, or unset it to train without a cluster: {error.msg}",
            error.doc,
            error.pos,
        ) from None
    if not isinstance(values, dict):
        raise TypeError(f"{_VARIABLE} must be a JSON object, or unset; got {text}")
    if values.get("model_dir") == "":
        raise ValueError(f"model_dir in {_VARIABLE} must not be empty; leave it out to take that of the RunConfig")
    cluster = {str(job): _addresses(job, listed) for job, listed in _mapping(values, "cluster").items()}
    task_type, task_id = _task(_mapping(values, "task"), cluster)
    return TaskConfig(
        {} if task_type == EVALUATOR else cluster,
        task_type,
        task_id,
        _text(values, "session_master"),
        _text(values, "eval_session_master"),
        _mapping(values, "service") if values.get("service") is not None else None,
        _text(values, "model_dir"),
    )


def describe_roles(task: TaskConfig, worker_range: tuple[int, int] | None, num_ps_replicas: int) -> str:
    """What becomes of each role of a cluster, for people.

    Args:
        task: of this process, in a cluster.
        worker_range: the least and the most Ray workers that train; None trains in the chief's process.
        num_ps_replicas: how many slices a large table is cut into.
    """
    title = f"{_VARIABLE}: this process is {task.task_type} {task.task_id}"
    if task.task_type == EVALUATOR:
        return f"{title}, which evaluates new checkpoints in train_and_evaluate"
    chief = MASTER if MASTER in task.cluster_spec else CHIEF
    others = len(task.cluster_spec.get(WORKER, ()))
    trainers = chief + (f" + {_count(others, 'worker')}" if others else "")
    became = "one process"
    if worker_range is not None:
        least, most = worker_range
        became = ("" if least == most else f"{least} to ") + _count(most, "data-parallel Ray worker")
    rows = [(trainers, became)]
    if task.num_ps_replicas:
        where = "" if worker_range is None else ", spread over the workers"
        tables = f"in up to {_count(num_ps_replicas, 'slice')}{where}" if num_ps_replicas else "stay whole"
        rows.append((f"ps x{task.num_ps_replicas}", f"large tables {tables}"))
    if EVALUATOR in task.cluster_spec:
        rows.append((EVALUATOR, "evaluates new checkpoints in its own process"))
    width = max(len(role) for role, _ in rows)
    return "\n".join([title, *(f"  {role:<{width}} -> {became}" for role, became in rows)])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _task(task: dict[str, Any], cluster: Mapping[str, tuple[str, ...]]) -> tuple[str, int]:
    """The type and index of a process, which must fit its cluster."""
    if not cluster:
        local_type, index = _text(task, "type"), _index(task.get("index", 0))
        if local_type not in (None, WORKER):
            raise ValueError(
                f"{_VARIABLE} has task type {local_type!r} without a cluster: give its cluster, or leave out the task"
            )
        if index != 0:
            raise ValueError(f"{_VARIABLE} has task index {index} without a cluster: give its cluster, or index 0")
        return WORKER, 0
    _check_cluster(cluster)
    task_type, given = _text(task, "type"), task.get("index")
    if not task_type:
        raise ValueError(f"{_VARIABLE} has a cluster but no task type: give one of {', '.join(sorted(cluster))}")
    if given is None:
        raise ValueError(f"{_VARIABLE} has a cluster but no task index: give the place of this {task_type}, from 0")
    index = _index(given)
    if index < 0:
        raise ValueError(f"the task index in {_VARIABLE} must not be negative; got {index}")
    if task_type == EVALUATOR:
        if MASTER in cluster:
            raise ValueError(
                f"{_VARIABLE} has task type 'evaluator' in a cluster with a 'master', which evaluates itself: "
                "name the master 'chief', or start no evaluator"
            )
        return task_type, index
    if task_type not in cluster:
        raise ValueError(
            f"{_VARIABLE} has task type {task_type!r}, which is not in its cluster: give one of "
            f"{', '.join(sorted(cluster))}, or evaluator"
        )
    if index >= len(cluster[task_type]):
        raise ValueError(
            f"{_VARIABLE} has task index {index}, but its cluster has {len(cluster[task_type])} of {task_type!r}: "
            "count from 0, or list the address"
        )
    return task_type, index


def _check_cluster(cluster: Mapping[str, tuple[str, ...]]) -> None:
    unknown = sorted(set(cluster) - set(ROLES))
    if unknown:
        raise ValueError(f"the cluster in {_VARIABLE} has {', '.join(unknown)}; an estimator knows {', '.join(ROLES)}")
    if CHIEF in cluster and MASTER in cluster:
        raise ValueError(f"the cluster in {_VARIABLE} has both a 'chief' and a 'master': leave out one of them")
    chief = MASTER if MASTER in cluster else CHIEF
    count = len(cluster.get(chief, ()))
    if count != 1:
        raise ValueError(
            f"the cluster in {_VARIABLE} must have one 'chief' with one address; got {count} of {chief!r}: name one "
            "process the chief and the others workers"
        )


def _addresses(job: str, listed: Any) -> tuple[str, ...]:
    if not isinstance(listed, list) or not all(isinstance(address, str) for address in listed):
        raise TypeError(f"the cluster in {_VARIABLE} must list 'host:port' texts for {job!r}; got {listed!r}")
    if "" in listed:
        raise ValueError(f"the cluster in {_VARIABLE} has an empty address of {job!r}: give 'host:port'")
    return tuple(listed)


def _index(value: Any) -> int:
    try:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ValueError(f"the task index in {_VARIABLE} must be a whole number; got {value!r}")


def _mapping(values: dict[str, Any], key: str) -> dict[str, Any]:
    value = values.get(key)
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{key} in {_VARIABLE} must be a JSON object, or left out; got {value!r}")
    return value or {}


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{key} in {_VARIABLE} must be a text, or left out; got {value!r}")
    return value
