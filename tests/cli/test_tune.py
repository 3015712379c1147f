"""`raydnn tune`: what it prints, and what signals do to it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import COMMAND, outcome, run, run_in_a_fork
from made_sweep import made_sweep
from mlflow import MlflowClient
from small_sweep import sweep_text, write_run

TRIALS = {"evaluate_every": 100, "max_concurrent": 1}


@pytest.fixture
def cluster(ray_four_cpus: None) -> str:
    """The address of a cluster, so that commands need not start one."""
    import ray

    return str(ray.get_runtime_context().gcs_address)


def write_sweep(folder: Path, **changes: object) -> None:
    write_run(folder)
    (folder / "sweep.yaml").write_text(sweep_text(**changes))


def events(folder: Path) -> list[dict[str, object]]:
    path = folder / "sweeps" / "small" / "trials.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def ended(folder: Path) -> list[object]:
    return [event["number"] for event in events(folder) if event["event"] == "end"]


def tracked_trials(folder: Path) -> dict[str, tuple[str, str]]:
    """Number of a trial -> id and status of its MLflow run, of which there must be one."""
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'sweeps' / 'small' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("raydnn")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`raydnn.trial` != ''")
    found = {run.data.tags["raydnn.trial"]: (run.info.run_id, run.info.status) for run in runs}
    assert len(found) == len(runs)
    return found


def interrupted(folder: Path, number: signal.Signals, num_ended: int, *arguments: str, address: str) -> tuple[int, str]:
    """Tune, and send a signal when so many trials have ended; exit code and standard error."""
    with subprocess.Popen(
        [*COMMAND, "tune", "sweep.yaml", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "RAY_ADDRESS": address},
    ) as process:
        while len(ended(folder)) < num_ended and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=200)
    return process.returncode, stderr


def test_a_dry_run_tells_the_first_configurations_and_the_plan(tmp_path: Path, cluster: str) -> None:
    write_sweep(tmp_path, budget={"trials": 12, "steps": 40})
    arguments = ["--dry-run", "--json", "--set", "trials.cpus=2"]
    result = run("tune", "sweep.yaml", *arguments, folder=tmp_path, RAY_ADDRESS=cluster)
    assert result.returncode == 0, result.stderr
    found = outcome(result)
    assert len(found["configurations"]) == 5
    assert all(0 <= configuration["model.dropout"] <= 0.4 for configuration in found["configurations"])
    plan = found["plan"]
    assert (plan["trials"], plan["cpus"], plan["cpus_per_trial"], plan["concurrent"]) == (13, 4, 2, 2)
    assert plan["steps"] == 40
    assert plan["memory"] > 0
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.yaml"], "error: there is no file missing.yaml"),
        (["sweep.yaml", "--set", "budget.trails=1"], "error: override: budget.trails: there is no such key"),
        (["sweep.yaml", "--set", "set.model.droput=1"], "error: override: set.model.droput: there is no such key"),
    ],
)
def test_a_wrong_sweep_is_told_without_a_traceback(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_sweep(tmp_path)
    result = run_in_a_fork("tune", *arguments, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_report_of_a_sweep_is_made_anew_from_its_folder(tmp_path: Path) -> None:
    made_sweep(tmp_path, trials=6, is_running=True)
    found = outcome(run_in_a_fork("report", "sweeps/small", "--json", folder=tmp_path))
    assert (found["report"], found["mlflow_run"]) == (f"{tmp_path}/sweeps/small/report.html", None)
    assert (found["trials"], found["best"]) == (7, 1)
    assert "parallel" in found["charts"]
    assert Path(found["report"]).read_text().startswith("<!doctype html>")
    result = run_in_a_fork("report", "sweeps/small", "--out", "other.html", "--slices", "carrier", folder=tmp_path)
    assert (result.returncode, (tmp_path / "other.html").exists()) == (2, False)
    assert "sweeps/small is the folder of a sweep, whose report takes no --slices; leave it out" in result.stderr
    told = run_in_a_fork("report", "sweeps/small", "--out", "other.html", folder=tmp_path).stdout
    assert told == "trials  7; the best is trial 1\nreport  other.html\n"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred", "ignore:The ``noload`` loader strategy")
def test_after_ctrl_c_and_the_death_of_the_driver_resume_runs_what_is_left(tmp_path: Path, cluster: str) -> None:
    budget = {"trials": 5, "steps": 400}
    write_sweep(tmp_path, budget=budget, set={"data.epochs": None}, trials=TRIALS, tracking="mlflow")
    code, stderr = interrupted(tmp_path, signal.SIGINT, 1, address=cluster)
    assert code == 130
    tracked = tracked_trials(tmp_path)
    assert tracked
    done = len(ended(tmp_path))
    assert 1 <= done < 6
    assert f"{done} trials have ended. Go on with it by --resume" in stderr
    code, _ = interrupted(tmp_path, signal.SIGKILL, 3, "--resume", address=cluster)
    assert code == -signal.SIGKILL
    finished = ended(tmp_path)
    assert len(finished) >= 3
    before = len(events(tmp_path))
    result = run("tune", "sweep.yaml", "--resume", folder=tmp_path, RAY_ADDRESS=cluster)
    assert result.returncode == 0, result.stderr
    assert not {event["number"] for event in events(tmp_path)[before:]} & set(finished)
    assert sorted(ended(tmp_path)) == [0, 1, 2, 3, 4, 5]  # type: ignore[type-var]
    children = tracked_trials(tmp_path)
    assert sorted(children) == ["0", "1", "2", "3", "4", "5"]
    assert {status for _, status in children.values()} == {"FINISHED"}
    assert {number: children[number][0] for number in tracked} == {number: run for number, (run, _) in tracked.items()}
    report = f"report       {tmp_path}/sweeps/small/report.html"
    for text in ("rank", "differs from the base run", "nothing: the run as it is", "best         trial ", report):
        assert text in result.stdout
    # Nobody looks at a terminal: each trial that ends is told in a line, and no table is drawn over and over.
    told = [line.split(" INFO ")[1][:7] for line in result.stderr.splitlines() if " is done: auc " in line]
    assert sorted(told) == [f"Trial {number}" for number in range(6) if number not in finished]
    assert "have ended: " not in result.stderr
    again = run("tune", "sweep.yaml", folder=tmp_path, RAY_ADDRESS=cluster)
    assert again.returncode == 2
    assert "has begun already; go on with it by --resume" in again.stderr
