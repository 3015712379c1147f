"""The record of a sweep: all that another driver knows."""

import json
import time
from pathlib import Path

import pytest
from small_sweep import sweep_text

from raydnn import tune
from raydnn.errors import ConfigError
from raydnn.tune.record import TRIALS_FILE, SweepRecord


@pytest.fixture(autouse=True)
def folder(small_run: Path) -> None:
    (small_run / "sweeps" / "small").mkdir(parents=True)


def record_of(resume: bool = False, **changes: object) -> SweepRecord:
    record = SweepRecord(tune.loads(sweep_text(**changes)))
    record.begin(resume)
    return record


def test_another_driver_finds_all_trials_as_they_stood() -> None:
    record = record_of()
    record.start(0, {}, {}, True)
    record.start(1, {"model.dropout": 0.1}, {"model.dropout": 0.1}, False)
    record.report(1, {"auc": 0.5, "global_step": 20})
    record.report(1, {"auc": 0.6, "global_step": 40})
    record.end(1, "stopped")
    record.end(0, "failed", "ValueError: no")
    record.start(2, {"model.dropout": 0.2}, {}, False)
    again = record_of(resume=True)
    assert [(trial.number, trial.status) for trial in again.trials.values()] == [
        (0, "failed"),
        (1, "stopped"),
        (2, "waiting"),
    ]
    assert again.trials[0].error == "ValueError: no"
    assert again.trials[1].metrics == {"auc": 0.6}
    assert again.trials[1].global_step == 40
    assert again.draws[1] == {"model.dropout": 0.1}
    assert again.trials[2].configuration == {"model.dropout": 0.2}


def test_steps_that_are_evaluated_again_take_the_place_of_the_first_time() -> None:
    record = record_of()
    record.start(1, {}, {}, False)
    for step in (20, 40, 60, 40):
        record.report(1, {"auc": step / 100, "global_step": step})
    assert [report["global_step"] for report in record.trials[1].reports] == [20, 40]


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_is_whole() -> None:
    record = record_of()
    record.start(1, {}, {}, False)
    path = Path("sweeps/small", TRIALS_FILE)
    with path.open("a") as file:
        file.write('{"event": "end", "num')
    again = record_of(resume=True)
    assert again.trials[1].status == "waiting"
    again.end(1, "done")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["start", "end"]


def test_a_sweep_that_has_begun_is_not_begun_again() -> None:
    record_of()
    with pytest.raises(ConfigError, match="small has begun already; go on with it by --resume, choose another name"):
        record_of()


def test_what_environment_variables_give_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_STORE", "a-secret")
    Path("run.yaml").write_text(Path("run.yaml").read_text().replace("model_dir: model", "model_dir: '${MY_STORE}/x'"))
    assert record_of(set={"run.tracking": {"tracking_uri": "${MY_STORE}"}})
    written = Path("sweeps/small/sweep.json").read_text()
    assert written.count("${MY_STORE}") == 2
    assert "a-secret" not in written


def test_only_the_budget_and_what_trials_take_may_change_before_going_on() -> None:
    record_of()
    record_of(resume=True, budget={"trials": 9, "steps": 40}, trials={"cpus": 2})
    with pytest.raises(ConfigError, match="small had another seed, space when it began; put that back"):
        record_of(resume=True, seed=4, space={"model.dropout": {"choice": [0.1]}})
    Path("run.yaml").write_text(Path("run.yaml").read_text().replace("[4]", "[8]"))
    with pytest.raises(ConfigError, match=r"had another run \(its file\) when it began"):
        record_of(resume=True)


def test_a_record_is_read_while_it_is_written_and_wherever_its_folder_is() -> None:
    record = record_of()
    record.start(1, {"model.dropout": 0.1}, {}, False)
    record.report(1, {"auc": 0.5, "global_step": 20, "rows": 400})
    record.end(1, "stopped", reason="asha at step 20")
    record.start(2, {"model.dropout": 0.2}, {}, False)
    Path("sweeps").rename("moved")
    path = Path("moved/small", TRIALS_FILE)
    with path.open("a") as file:
        file.write('{"event": "end", "num')
    before = path.read_bytes()
    found = SweepRecord.read("moved/small")
    assert path.read_bytes() == before
    assert found.result.trials == [found.trials[1], found.trials[2]]
    assert found.result.objectives == (("auc", "max"),)
    assert [(trial.status, trial.reason) for trial in found.result.trials] == [
        ("stopped", "asha at step 20"),
        ("running", None),
    ]
    assert (found.trials[1].rows, found.trials[2].rows) == (400, 0)
    assert found.trials[1].model_dir == str(Path.cwd() / "moved/small/trials/00001")
    assert found.updated == pytest.approx(time.time(), abs=60)
    with pytest.raises(FileNotFoundError):
        SweepRecord.read("sweeps/small")
