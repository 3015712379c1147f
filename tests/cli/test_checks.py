"""What `raydnn doctor` looks at."""

import socket
from pathlib import Path

import pytest

import raydnn
from raydnn.cli import checks
from raydnn.config import Run
from raydnn.distributed.diagnosis import ClusterState


def run_with(**settings: object) -> Run:
    overrides = {f"run.{name}": value for name, value in settings.items()}
    text = "{data: {train: a.parquet, eval: b.parquet, label: y}, features: {x: numeric}, model: {hidden_units: [2]}}"
    return raydnn.config.loads(text, overrides)


def cluster(cpus: float, free: float | None = None, gpus: float = 0) -> ClusterState:
    return ClusterState("here", 1, cpus, gpus, cpus if free is None else free)


@pytest.mark.parametrize(
    ("settings", "state", "status", "text"),
    [
        ({}, cluster(1), "ok", "trains in this process"),
        ({"num_workers": 2}, cluster(4), "ok", "2 workers with 1 each need 2; the cluster has 4, of which 4 are free"),
        ({"num_workers": 2}, cluster(2), "warning", "need 2"),
        ({"num_workers": 2}, cluster(4, free=1), "warning", "of which 1 are free"),
        ({"num_workers": 2}, cluster(1), "failed", "the cluster has 1"),
        ({"num_workers": 2, "input_engine": "ray_data"}, cluster(2), "failed", "and 1 for reading need 3"),
        ({"num_workers": [1, 4], "max_failures": 1}, cluster(3), "warning", "up to 4 need 4"),
        ({"num_workers": 2, "resources_per_worker": {"CPU": 0.5}}, cluster(2), "ok", "with 0.5 each need 1"),
    ],
)
def test_cpus_are_told_with_their_numbers(
    settings: dict[str, object], state: ClusterState, status: str, text: str
) -> None:
    found = checks.check_cpus(run_with(**settings), state)
    assert (found.status, text in found.detail) == (status, True), found
    assert bool(found.way_out) == (status != "ok")


def test_gpus_that_are_not_there_are_missed() -> None:
    assert checks.check_gpu(None, None).status == "ok"
    assert checks.check_gpu(run_with(num_workers=2, use_gpu=True), cluster(4, gpus=2)).status == "ok"
    found = checks.check_gpu(run_with(num_workers=2, use_gpu=True), cluster(4, gpus=1))
    assert (found.status, "asks for 2, found are 1" in found.detail) == ("failed", True)


def test_a_model_dir_is_tried_and_left_as_it_is(tmp_path: Path) -> None:
    assert checks.check_model_dir(run_with(), None).status == "warning"
    assert checks.check_model_dir(run_with(model_dir=str(tmp_path / "a" / "b")), None).status == "ok"
    assert list(tmp_path.iterdir()) == []
    assert checks.check_model_dir(run_with(model_dir="memory://models/a"), None).status == "ok"
    found = checks.check_model_dir(run_with(model_dir="nothing://models/a"), None)
    assert (found.status, "nothing" in found.detail) == ("failed", True)


def test_an_address_of_ray_where_nobody_listens_is_told_at_once() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        found = checks.check_ray_address(address)
        assert found is not None
        assert (found.status, address in found.detail) == ("failed", True)
        listener.listen()
        assert checks.check_ray_address(f"ray://{address}") is None
    assert checks.check_ray_address("") is checks.check_ray_address("auto") is None


def test_the_server_of_mlflow_is_asked_and_its_port_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(checks.check_tracking(run_with())) == []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = run_with(tracking={"tracking_uri": f"http://127.0.0.1:{port}"})
        (found,) = checks.check_tracking(server)
        assert (found.status, found.way_out) == ("failed", f"start it there: mlflow server --port {port}")
        listener.listen()
        assert [check.status for check in checks.check_tracking(server)] == ["ok"]
        monkeypatch.setattr(checks, "MLFLOW_UI_PORT", port)
        (found,) = checks.check_tracking(run_with(tracking="mlflow"))
        assert (found.status, found.way_out) == ("warning", f"mlflow ui --port {port + 1}")
