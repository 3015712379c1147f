"""The role that TF_CONFIG gives a process: in its RunConfig, in train, and in each worker."""

import copy
import json
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model_fn import line_fn, line_input_fn

import raydnn
from raydnn import RunConfig
from raydnn.estimator import EvalSpec, TrainSpec, train_and_evaluate
from raydnn.estimator.run_config import _log_once
from raydnn.estimator.training import TrainJob
from raydnn.inputs import InputContext
from raydnn.train.replicas import SingleReplica

CLUSTER = {"chief": ["chief:1"], "worker": ["worker0:2", "worker1:2"], "ps": ["ps0:3", "ps1:3"]}
ROLE_PROPERTIES = [
    "cluster_spec",
    "task_type",
    "task_id",
    "master",
    "evaluation_master",
    "is_chief",
    "num_worker_replicas",
    "global_id_in_cluster",
    "service",
]


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the process a role."""

    def give(task_type: str, index: int = 0, cluster: Any = CLUSTER, **values: Any) -> None:
        task = {"type": task_type, "index": index}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task, **values}))

    return give


def values_of(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in [*ROLE_PROPERTIES, "num_ps_replicas", "num_workers"]}


LOCAL = {
    "cluster_spec": {},
    "task_type": "worker",
    "task_id": 0,
    "master": "",
    "evaluation_master": "",
    "is_chief": True,
    "num_worker_replicas": 1,
    "global_id_in_cluster": 0,
    "service": None,
    "num_ps_replicas": 0,
    "num_workers": None,
}


def test_a_process_on_its_own_is_the_only_worker_and_the_chief() -> None:
    assert values_of(RunConfig()) == LOCAL


def test_a_config_has_the_role_of_its_process(role: Callable[..., None]) -> None:
    role("worker", 1, service={"key": 1})
    assert values_of(RunConfig()) == {
        "cluster_spec": {job: tuple(addresses) for job, addresses in CLUSTER.items()},
        "task_type": "worker",
        "task_id": 1,
        "master": "grpc://worker1:2",
        "evaluation_master": "",
        "is_chief": False,
        "num_worker_replicas": 3,
        "global_id_in_cluster": 2,
        "service": {"key": 1},
        "num_ps_replicas": 2,
        "num_workers": 3,
    }


@pytest.mark.parametrize("name", [*ROLE_PROPERTIES, "num_ps_replicas"])
def test_a_role_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(RunConfig(), name, None)


@pytest.mark.parametrize("name", [*ROLE_PROPERTIES, "_task"])
def test_a_role_cannot_be_replaced(name: str) -> None:
    with pytest.raises(ValueError, match=f"no argument {name}"):
        RunConfig().replace(**{name: None})


def test_what_a_property_gives_can_be_changed_without_harm(role: Callable[..., None]) -> None:
    role("chief", service={"key": []})
    config = RunConfig()
    config.cluster_spec.clear()
    config.service["key"].append(1)
    assert (len(config.cluster_spec), config.service) == (3, {"key": []})


@pytest.mark.parametrize(
    "changed",
    [
        lambda config: config.replace(tf_random_seed=1),
        copy.copy,
        copy.deepcopy,
        lambda config: pickle.loads(pickle.dumps(config)),
    ],
)
def test_a_copy_keeps_its_role_and_does_not_read_it_again(
    changed: Callable[[RunConfig], RunConfig], role: Callable[..., None]
) -> None:
    role("worker", 1)
    config = RunConfig()
    expected = values_of(config)
    role("no such role")
    assert values_of(changed(config)) == expected


def test_an_unchanged_copy_is_equal_and_another_role_is_not(role: Callable[..., None]) -> None:
    alone = RunConfig(num_workers=3, num_ps_replicas=2)
    role("chief")
    config = RunConfig()
    assert config == config.replace()
    assert hash(config) == hash(config.replace())
    assert config != alone


@pytest.mark.parametrize(
    ("cluster", "given", "effective"),
    [
        (CLUSTER, {}, (3, 2)),
        (CLUSTER, {"num_workers": 2}, (2, 2)),
        (CLUSTER, {"num_ps_replicas": 5}, (3, 5)),
        (CLUSTER, {"num_ps_replicas": 0}, (3, 0)),
        ({"chief": ["chief:1"]}, {}, (None, 0)),
        ({"chief": ["chief:1"], "ps": ["ps:1"]}, {}, (None, 1)),
    ],
)
def test_the_cluster_gives_the_numbers_that_are_not_given(
    cluster: Any, given: dict[str, int], effective: tuple[int | None, int], role: Callable[..., None]
) -> None:
    role("chief", cluster=cluster)
    for config in (RunConfig(**given), RunConfig().replace(**given)):
        assert (config.num_workers, config.num_ps_replicas) == effective
    back = RunConfig(num_workers=7, num_ps_replicas=7).replace(
        **{"num_workers": None, "num_ps_replicas": None, **given}
    )
    assert (back.num_workers, back.num_ps_replicas) == effective


def test_without_a_cluster_the_slices_are_those_given() -> None:
    assert RunConfig(num_ps_replicas=4).num_ps_replicas == 4
    with pytest.raises(ValueError, match="num_ps_replicas must be 0 or more; got -1"):
        RunConfig(num_ps_replicas=-1)


def test_an_evaluator_trains_nothing(role: Callable[..., None]) -> None:
    role("evaluator")
    config = RunConfig()
    assert (config.num_workers, config.num_ps_replicas, config.num_worker_replicas) == (None, 0, 0)


def test_the_model_dir_is_that_of_tf_config_or_of_the_argument(role: Callable[..., None], tmp_path: Path) -> None:
    role("chief", model_dir="folder")
    assert RunConfig().model_dir == RunConfig(model_dir="folder").model_dir == "folder"
    assert RunConfig().replace(model_dir="other").model_dir == "other"
    with pytest.raises(ValueError, match="model_dir is 'other' as argument and 'folder' in TF_CONFIG; give one"):
        RunConfig(model_dir="other")
    with pytest.raises(ValueError, match="model_dir is .* as argument and 'folder' in the config; give one"):
        raydnn.Estimator(line_fn(), tmp_path)


def test_what_became_of_the_roles_is_logged_once(role: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    _log_once.cache_clear()
    role("chief")
    with caplog.at_level(logging.INFO, "raydnn"):
        RunConfig().replace(tf_random_seed=1)
        raydnn.Estimator(line_fn(), "folder")
    (record,) = caplog.records
    assert "chief + 2 workers -> 3 data-parallel Ray workers" in record.getMessage()


def test_without_a_cluster_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "raydnn"):
        RunConfig()
    assert not caplog.records


@pytest.mark.parametrize("task_type", ["ps", "evaluator"])
def test_train_is_refused_where_nothing_trains(task_type: str, role: Callable[..., None], tmp_path: Path) -> None:
    role(task_type)
    with pytest.raises(ValueError, match=f"TF_CONFIG makes this process {task_type} 0, .*train_and_evaluate"):
        raydnn.Estimator(line_fn(), tmp_path).train(line_input_fn())


def test_a_workers_process_leaves_training_to_the_chiefs(
    role: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    role("worker", 1)
    estimator = raydnn.Estimator(line_fn(), tmp_path)
    with caplog.at_level(logging.INFO, "raydnn"):
        assert estimator.train(line_input_fn()) is estimator
    assert "Nothing to do for worker 1" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task_type", ["worker", "ps"])
def test_train_and_evaluate_has_nothing_to_do_but_in_the_chiefs_process(
    task_type: str, role: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    role(task_type, 1)
    estimator = raydnn.Estimator(line_fn(), tmp_path)
    with caplog.at_level(logging.INFO, "raydnn"):
        assert train_and_evaluate(estimator, TrainSpec(line_input_fn()), EvalSpec(line_input_fn())) == (None, None)
    assert f"Nothing to do for {task_type} 1" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["chief", "master"])
def test_a_chief_without_workers_trains_in_its_own_process(
    name: str, role: Callable[..., None], tmp_path: Path
) -> None:
    role(name, cluster={name: ["chief:1"]})
    estimator = raydnn.Estimator(line_fn(), tmp_path)
    assert estimator.train(line_input_fn(2)).get_variable_value("global_step") == 2


@pytest.mark.parametrize(
    ("rank", "task_type", "task_id", "is_chief"),
    [(0, "chief", 0, True), (1, "worker", 0, False), (2, "worker", 1, False)],
)
def test_a_replica_has_the_role_of_its_rank(rank: int, task_type: str, task_id: int, is_chief: bool) -> None:
    config = RunConfig(num_workers=3, num_ps_replicas=1).for_replica(rank, 3)
    assert (config.task_type, config.task_id, config.is_chief) == (task_type, task_id, is_chief)
    assert (config.global_id_in_cluster, config.num_worker_replicas, config.num_ps_replicas) == (rank, 3, 1)
    assert config.cluster_spec == {
        "chief": ("ray-chief-0:0",),
        "worker": ("ray-worker-0:0", "ray-worker-1:0"),
        "ps": ("ray-ps-0:0",),
    }


def test_replicas_have_the_addresses_of_the_cluster_as_far_as_they_go(role: Callable[..., None]) -> None:
    role("chief", cluster=CLUSTER | {"evaluator": ["evaluator:4"]})
    config = RunConfig(num_workers=4, num_ps_replicas=1).for_replica(2, 4)
    assert config.cluster_spec == {
        "chief": ("chief:1",),
        "worker": ("worker0:2", "worker1:2", "ray-worker-2:0"),
        "ps": ("ps0:3",),
    }
    assert (config.master, config.global_id_in_cluster) == ("grpc://worker1:2", 2)


def test_the_first_replica_of_a_masters_cluster_is_the_master(role: Callable[..., None]) -> None:
    role("master", cluster={"master": ["master:1"], "worker": ["worker:2"]})
    config = RunConfig().for_replica(0, 2)
    assert (config.task_type, config.is_chief, config.num_worker_replicas) == ("master", True, 2)


class OneOfTwo(SingleReplica):
    """The view of one of two replicas, of which the other is not there."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank


class SeenError(Exception):
    """All is seen: there is nobody to train with."""


class Roles:
    """A model function and an input_fn that write down the roles they see."""

    def __init__(self) -> None:
        self.of_model: list[dict[str, Any]] = []
        self.of_input: list[dict[str, Any]] = []

    def model_fn(self, features: Any, labels: Any, mode: str, config: RunConfig) -> raydnn.EstimatorSpec:
        self.of_model.append(values_of(config))
        raise SeenError

    def input_fn(self, config: RunConfig) -> Any:
        self.of_input.append(values_of(config))
        return line_input_fn(1)()

    def own_part_input_fn(self, config: RunConfig, input_context: InputContext) -> Any:
        assert input_context.input_pipeline_id == config.global_id_in_cluster
        return self.input_fn(config)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[TrainJob]:
    """The jobs that are launched, and not run."""
    jobs: list[TrainJob] = []

    class Launcher:
        def launch(self, job: TrainJob) -> None:
            jobs.append(job)

    monkeypatch.setattr("raydnn.estimator.estimator.get_launcher", lambda config: Launcher())
    return jobs


@pytest.mark.parametrize(("rank", "task_type"), [(0, "chief"), (1, "worker")])
def test_user_functions_see_the_role_of_their_worker(
    rank: int, task_type: str, tmp_path: Path, launched: list[TrainJob]
) -> None:
    roles = Roles()
    config = RunConfig(num_workers=2, num_ps_replicas=3)
    raydnn.Estimator(roles.model_fn, tmp_path, config).train(roles.own_part_input_fn)
    with pytest.raises(SeenError):
        launched[0].run(OneOfTwo(rank), None)
    assert (len(roles.of_model), len(roles.of_input)) == (1, 1)
    for seen in [*roles.of_model, *roles.of_input]:
        assert (seen["task_type"], seen["task_id"], seen["is_chief"]) == (task_type, 0, rank == 0)
        assert (seen["num_worker_replicas"], seen["global_id_in_cluster"]) == (2, rank)
        assert (seen["num_ps_replicas"], seen["num_workers"]) == (3, 2)


@pytest.mark.parametrize("rank", [0, 1])
def test_an_input_fn_whose_rows_are_dealt_out_sees_no_other_workers(
    rank: int, tmp_path: Path, launched: list[TrainJob]
) -> None:
    """One written for TensorFlow may take every n-th file: it must then take all."""
    roles = Roles()
    raydnn.Estimator(roles.model_fn, tmp_path, RunConfig(num_workers=2)).train(roles.input_fn)
    with pytest.raises(SeenError):
        launched[0].run(OneOfTwo(rank), None)
    assert len(roles.of_input) == 2
    for seen in roles.of_input:
        assert (seen["num_worker_replicas"], seen["global_id_in_cluster"], seen["task_id"]) == (1, 0, 0)
        assert seen["is_chief"]


def test_the_chiefs_process_asks_for_the_whole_data_set(
    role: Callable[..., None], tmp_path: Path, launched: list[TrainJob]
) -> None:
    def input_fn(config: RunConfig) -> Any:
        x = np.arange(12, dtype=np.float32)[config.global_id_in_cluster :: config.num_worker_replicas]
        return raydnn.inputs.from_numpy({"x": x}, x, batch_size=4)

    role("chief")
    raydnn.Estimator(line_fn(), tmp_path).train(input_fn)
    (job,) = launched
    assert job.total_steps == 3
    assert job.config.num_workers == 3


def test_in_one_process_nothing_changes(tmp_path: Path) -> None:
    roles = Roles()
    with pytest.raises(SeenError):
        raydnn.Estimator(roles.model_fn, tmp_path).train(roles.input_fn)
    assert roles.of_input == roles.of_model == [LOCAL]
