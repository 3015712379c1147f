"""TF_CONFIG: what each role of a cluster sees, and what is refused."""

import json
from typing import Any

import pytest

from raydnn import RunConfig
from raydnn.estimator.tf_config import TaskConfig, describe_roles, read_task_config

CLUSTER = {
    "chief": ["chief:1"],
    "worker": ["worker0:2", "worker1:2"],
    "ps": ["ps0:3", "ps1:3"],
    "evaluator": ["evaluator:4"],
}
WITHOUT_EVALUATOR = {job: addresses for job, addresses in CLUSTER.items() if job != "evaluator"}
WITH_MASTER = {"master": ["master:1"], "worker": ["worker0:2"], "ps": ["ps0:3"]}


def read(monkeypatch: pytest.MonkeyPatch, **values: Any) -> TaskConfig:
    monkeypatch.setenv("TF_CONFIG", json.dumps(values))
    return read_task_config()


def task(task_type: Any, index: Any = 0) -> dict[str, Any]:
    return {"type": task_type, "index": index}


def test_without_the_variable_a_process_is_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert read_task_config() == TaskConfig()


@pytest.mark.parametrize("values", [{}, {"task": task("worker")}, {"task": task("worker", "0")}, {"cluster": {}}])
def test_without_a_cluster_a_process_is_on_its_own(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, **values)
    assert found == TaskConfig()
    assert (found.is_local, found.is_chief, found.num_ps_replicas, found.num_worker_replicas) == (True, True, 0, 1)
    assert (found.task_type, found.task_id, found.global_id_in_cluster) == ("worker", 0, 0)
    assert (found.master, found.evaluation_master, found.cluster_spec) == ("", "", {})
    assert (found.service, found.model_dir) == (None, None)


def test_a_process_on_its_own_has_the_masters_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, session_master="grpc://a:1", eval_session_master="grpc://b:2")
    assert (found.master, found.evaluation_master) == ("grpc://a:1", "grpc://b:2")


@pytest.mark.parametrize(
    ("cluster", "role", "is_chief", "global_id", "master"),
    [
        (CLUSTER, ("chief", 0), True, 0, "grpc://chief:1"),
        (CLUSTER, ("worker", 0), False, 2, "grpc://worker0:2"),
        (CLUSTER, ("worker", 1), False, 3, "grpc://worker1:2"),
        (CLUSTER, ("worker", "1"), False, 3, "grpc://worker1:2"),
        (CLUSTER, ("ps", 0), False, 4, "grpc://ps0:3"),
        (CLUSTER, ("ps", 1), False, 5, "grpc://ps1:3"),
        (WITHOUT_EVALUATOR, ("worker", 1), False, 2, "grpc://worker1:2"),
        (WITHOUT_EVALUATOR, ("ps", 1), False, 4, "grpc://ps1:3"),
    ],
)
def test_the_values_of_each_role_of_a_cluster(
    cluster: dict[str, list[str]],
    role: tuple[str, Any],
    is_chief: bool,
    global_id: int,
    master: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = read(monkeypatch, cluster=cluster, task=task(*role))
    assert (found.task_type, found.task_id) == (role[0], int(role[1]))
    assert (found.is_chief, found.num_ps_replicas, found.num_worker_replicas) == (is_chief, 2, 3)
    assert (found.global_id_in_cluster, found.master, found.evaluation_master) == (global_id, master, "")
    assert found.cluster_spec == {job: tuple(addresses) for job, addresses in cluster.items()}


@pytest.mark.parametrize("cluster", [CLUSTER, WITHOUT_EVALUATOR])
@pytest.mark.parametrize("index", [0, 1, 7])
def test_an_evaluator_is_no_part_of_the_cluster(
    cluster: dict[str, list[str]], index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = {"cluster": cluster, "task": task("evaluator", index)}
    found = read(monkeypatch, **role, session_master="grpc://a:1", eval_session_master="grpc://b:2")
    assert (found.task_type, found.task_id, found.is_chief) == ("evaluator", index, False)
    assert (found.num_ps_replicas, found.num_worker_replicas, found.global_id_in_cluster) == (0, 0, None)
    assert (found.master, found.evaluation_master, found.cluster_spec) == ("", "grpc://b:2", {})
    assert read(monkeypatch, **role).evaluation_master == ""


@pytest.mark.parametrize(
    ("role", "is_chief", "global_id"), [("master", True, 0), ("worker", False, 1), ("ps", False, 2)]
)
def test_a_master_is_a_chief_by_its_old_name(
    role: str, is_chief: bool, global_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(monkeypatch, cluster=WITH_MASTER, task=task(role))
    assert (found.is_chief, found.global_id_in_cluster) == (is_chief, global_id)
    assert (found.num_ps_replicas, found.num_worker_replicas) == (1, 2)


def test_a_cluster_of_one_process_has_no_master_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, cluster={"chief": ["chief:1"]}, task=task("chief"))
    assert (found.is_local, found.is_chief, found.master, found.num_worker_replicas) == (False, True, "", 1)


def test_a_session_master_takes_the_place_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, cluster=CLUSTER, task=task("chief"), session_master="a:1").master == "a:1"


def test_what_else_is_given_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, service={"key": [1]}, model_dir="folder", environment="google", job={"args": []})
    assert (found.service, found.model_dir) == ({"key": [1]}, "folder")
    assert read(monkeypatch, service={}).service == {}


@pytest.mark.parametrize("text", ["", "{", "chief", "{'cluster': {}}"])
def test_text_that_is_no_json_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(json.JSONDecodeError, match="TF_CONFIG is no JSON; correct it, or unset it"):
        RunConfig()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_dir": ""}, "model_dir in TF_CONFIG must not be empty; leave it out"),
        ({"cluster": {"worker": ["a:1"]}, "task": task("worker")}, "one 'chief' with one address; got 0 of 'chief'"),
        ({"cluster": {"chief": []}, "task": task("chief")}, "one 'chief' with one address; got 0 of 'chief'"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": task("chief")}, "got 2 of 'chief': name one process the chief"),
        ({"cluster": {"master": ["a:1", "b:1"]}, "task": task("master")}, "got 2 of 'master'"),
        ({"cluster": CLUSTER | WITH_MASTER, "task": task("chief")}, "both a 'chief' and a 'master': leave out one"),
        ({"cluster": CLUSTER}, "no task type: give one of chief, evaluator, ps, worker"),
        ({"cluster": CLUSTER, "task": {"index": 0}}, "no task type"),
        ({"cluster": CLUSTER, "task": {"type": "worker"}}, "no task index: give the place of this worker, from 0"),
        ({"cluster": CLUSTER, "task": task("worker", -1)}, "task index in TF_CONFIG must not be negative; got -1"),
        ({"cluster": CLUSTER, "task": task("evaluator", "-1")}, "must not be negative; got -1"),
        ({"cluster": CLUSTER, "task": task("worker", "first")}, "must be a whole number; got 'first'"),
        ({"cluster": CLUSTER, "task": task("worker", 0.5)}, "must be a whole number; got 0.5"),
        ({"cluster": CLUSTER, "task": task("worker", True)}, "must be a whole number; got True"),
        ({"cluster": CLUSTER, "task": task("master")}, "task type 'master', which is not in its cluster: give one of"),
        ({"cluster": CLUSTER, "task": task("helper")}, "task type 'helper', which is not in its cluster"),
        (
            {"cluster": CLUSTER, "task": task("worker", 2)},
            "task index 2, but its cluster has 2 of 'worker': count",
        ),
        ({"cluster": CLUSTER, "task": task("ps", "2")}, "task index 2, but its cluster has 2 of 'ps'"),
        ({"cluster": WITH_MASTER, "task": task("evaluator")}, "'evaluator' in a cluster with a 'master'.*name the mas"),
        ({"cluster": CLUSTER | {"helper": ["a:1"]}, "task": task("helper")}, "has helper; an estimator knows chief, m"),
        ({"cluster": {"chief": [""]}, "task": task("chief")}, "empty address of 'chief': give 'host:port'"),
        ({"task": task("chief")}, "task type 'chief' without a cluster: give its cluster, or leave out the task"),
        ({"task": task("evaluator")}, "task type 'evaluator' without a cluster"),
        ({"task": task("worker", 1)}, "task index 1 without a cluster: give its cluster, or index 0"),
    ],
)
def test_a_cluster_or_role_that_cannot_be_is_refused(
    values: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(values))
    with pytest.raises(ValueError, match=message):
        RunConfig()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"TF_CONFIG must be a JSON object, or unset; got \[\]"),
        ({"service": "a"}, "service in TF_CONFIG must be a JSON object, or left out; got 'a'"),
        ({"service": []}, "service in TF_CONFIG"),
        ({"cluster": ["a:1"]}, "cluster in TF_CONFIG must be a JSON object"),
        ({"cluster": {"chief": "a:1"}}, "must list 'host:port' texts for 'chief'; got 'a:1'"),
        ({"cluster": {"chief": [1]}}, r"must list 'host:port' texts for 'chief'; got \[1\]"),
        ({"task": "chief"}, "task in TF_CONFIG must be a JSON object"),
        ({"task": task(3)}, "type in TF_CONFIG must be a text"),
        ({"model_dir": 3}, "model_dir in TF_CONFIG must be a text"),
        ({"session_master": 3}, "session_master in TF_CONFIG must be a text"),
    ],
)
def test_a_value_of_another_type_is_refused(values: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(values))
    with pytest.raises(TypeError, match=message):
        RunConfig()


@pytest.mark.parametrize(
    ("cluster", "role", "workers", "slices", "rows"),
    [
        (
            CLUSTER,
            "chief",
            (3, 3),
            2,
            [
                "TF_CONFIG: this process is chief 0",
                "  chief + 2 workers -> 3 data-parallel Ray workers",
                "  ps x2             -> large tables in up to 2 slices, spread over the workers",
                "  evaluator         -> evaluates new checkpoints in its own process",
            ],
        ),
        (
            WITH_MASTER,
            "worker",
            (1, 1),
            0,
            [
                "TF_CONFIG: this process is worker 0",
                "  master + 1 worker -> 1 data-parallel Ray worker",
                "  ps x1             -> large tables stay whole",
            ],
        ),
        (
            {"chief": ["chief:1"]},
            "chief",
            (1, 3),
            0,
            ["TF_CONFIG: this process is chief 0", "  chief -> 1 to 3 data-parallel Ray workers"],
        ),
        (
            {"chief": ["chief:1"], "ps": ["ps:1"]},
            "chief",
            None,
            1,
            [
                "TF_CONFIG: this process is chief 0",
                "  chief -> one process",
                "  ps x1 -> large tables in up to 1 slice",
            ],
        ),
        (
            CLUSTER,
            "evaluator",
            None,
            0,
            ["TF_CONFIG: this process is evaluator 0, which evaluates new checkpoints in train_and_evaluate"],
        ),
    ],
)
def test_it_is_told_what_becomes_of_each_role(
    cluster: dict[str, list[str]],
    role: str,
    workers: tuple[int, int] | None,
    slices: int,
    rows: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = read(monkeypatch, cluster=cluster, task=task(role))
    assert describe_roles(found, workers, slices).split("\n") == rows
