"""`raydnn k8s`."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from commands import outcome, run_in_a_fork, write_run
from typer.testing import CliRunner

from raydnn.cli.main import app

KUBECTL = """#!/bin/sh
cat > {folder}/applied.yaml
echo "$@" > {folder}/arguments
echo "rayjob.ray.io/run created"
"""


@pytest.mark.parametrize("command", ["render", "submit"])
def test_the_help_of_each_command_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, ["k8s", command, "--help"])
    assert result.exit_code == 0
    assert f"Example: raydnn k8s {command} " in " ".join(result.stdout.split())


def test_rendering_prints_manifests_and_nothing_else(tmp_path: Path) -> None:
    write_run(tmp_path)
    arguments = ["--overlay", "prod", "--component", "kueue", "--image", "mine:1", "--namespace", "team"]
    result = run_in_a_fork(
        "k8s", "render", "run.yaml", *arguments, "--name", "clicks", "--set", "run.num_workers=3", folder=tmp_path
    )
    assert (result.returncode, result.stderr) == (0, "")
    (job,) = (each for each in yaml.safe_load_all(result.stdout) if each["kind"] == "RayJob")
    assert job["metadata"]["name"] == "clicks"
    assert job["metadata"]["namespace"] == "team"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "raydnn"
    assert job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replicas"] == 3
    assert job["spec"]["submitterPodTemplate"]["spec"]["containers"][0]["image"] == "mine:1"


def test_a_sweep_is_rendered_with_its_run(tmp_path: Path) -> None:
    write_run(tmp_path)
    sweep = {"run": "run.yaml", "space": {"model.dropout": {"uniform": [0.0, 0.4]}}, "budget": {"trials": 3}}
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(sweep))
    result = run_in_a_fork("k8s", "render", "search.yaml", "--set", "budget.trials=9", folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    found = {each["kind"]: each for each in yaml.safe_load_all(result.stdout)}
    assert found["RayJob"]["spec"]["entrypoint"] == "raydnn tune /etc/raydnn/sweep.yaml --resume"
    assert yaml.safe_load(found["ConfigMap"]["data"]["sweep.yaml"])["budget"] == {"trials": 9}
    assert "run.yaml" in found["ConfigMap"]["data"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run_in_a_fork("k8s", "render", "missing.yaml", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "error: there is no file missing.yaml\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overlay", "test"], "there is no 'test' in overlays; there are dev, prod"),
        (["--set", "run.model_dir=/home/me"], "run.model_dir: the pods of a cluster do not have /home/me"),
        (["--name", "My Run"], "'My Run' gives no name of a RayJob"),
        (["--set", "model.droput=1"], "model.droput: there is no such key"),
    ],
)
def test_what_cannot_be_rendered_is_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("k8s", "render", "run.yaml", *arguments, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def submitted(folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, *arguments: str) -> tuple[int, str]:
    write_run(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", path)
    result = CliRunner().invoke(app, ["k8s", "submit", "run.yaml", *arguments])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def test_submitting_needs_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = submitted(tmp_path, monkeypatch, str(tmp_path))
    assert code == 1
    assert "error: there is no kubectl on this machine; install it, or write the manifests with raydnn k8s" in told


def test_submitting_gives_the_manifests_to_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(folder=tmp_path))
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, told = submitted(tmp_path, monkeypatch, path)
    assert (code, told) == (0, "rayjob.ray.io/run created\n")
    assert (tmp_path / "arguments").read_text().split() == ["apply", "--request-timeout=60s", "-f", "-"]
    result = run_in_a_fork("k8s", "render", "run.yaml", folder=tmp_path)
    assert (tmp_path / "applied.yaml").read_text() == result.stdout


def test_what_kubectl_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl")
    write_run(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    code, told = submitted(tmp_path, monkeypatch, os.environ["PATH"])
    assert code == 1
    assert "error: kubectl apply has failed: " in told
    assert "Traceback" not in told


def test_what_was_submitted_can_be_told_to_a_program(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("k8s", "submit", "run.yaml", "--json", "--overlay", "test", folder=tmp_path)
    found = outcome(result)
    assert (result.returncode, found["command"], found["status"]) == (2, "k8s submit", "failed")
