"""The report of a sweep: of one that has ended and of one that runs, made of its folder alone."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path

import pytest
from made_sweep import made_sweep, quality

from raydnn import tune
from raydnn.errors import ConfigError
from raydnn.tune.record import TRIALS_FILE
from raydnn.tune.report import SECTIONS, sweep_page
from raydnn.tune.report_material import SweepMaterial
from raydnn.tune.result import Winner


def text_of(places: tune.SweepReportPlaces) -> str:
    """The page, with its markup taken out and one space between words."""
    html = Path(places.report).read_text()
    return " ".join(unescape(re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of 20 trials."""
    return Path(made_sweep(tmp_path_factory.mktemp("sweep")).sweep.folder)


@pytest.fixture(scope="module")
def written(folder: Path) -> tune.SweepReportPlaces:
    return tune.write_sweep_report(folder)


def test_all_sections_are_there_with_their_charts(written: tune.SweepReportPlaces, folder: Path) -> None:
    assert (written.report, written.mlflow_run, written.trials) == (f"{folder}/report.html", None, 21)
    assert written.sections == (*("summary", "trials", "coordinates", "curves", "importance", "cost", "configuration"),)
    assert written.charts == ("parallel", "curves-auc", "importance", "cost")
    html = Path(written.report).read_text()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert "http" not in re.sub(r"http://www.w3.org/\S+", "", html)


def test_the_best_is_held_against_the_base_run(written: tune.SweepReportPlaces, folder: Path) -> None:
    starts = [json.loads(line) for line in (folder / TRIALS_FILE).read_text().splitlines()]
    qualities = {
        each["number"]: quality(each["configuration"])
        for each in starts
        if each["event"] == "start" and each["number"] not in (2, 3)
    }
    best = max(qualities, key=qualities.__getitem__)
    assert written.best == best
    text, gain = text_of(written), qualities[best] - qualities[0]
    for part in (
        f"Best trial {best} of 20 that were compared",
        f"Difference {gain:+.2g} best less base run",
        "Key best trial base run model.hidden_units",
        "21 trials: 19 done, 1 stopped, 1 failed · as of 2025-06-15",
        "Trials that have failed: 1; why stands below",
        "stopped: asha at step 20",
        "ValueError: rows of 'carrier' are <no> text",
        "Status Trials Seconds Steps Rows done 19 152.0 1,140 22,800 stopped 1 4.0 20 400 failed 1 2.0 0 0",
        "Variance that the forest explains of trials it has not seen",
        "hidden_units: [4]",
        "loguniform: [0.01, 0.3]",
    ):
        assert part in text, part


def test_the_export_of_the_winner_is_named(tmp_path: Path) -> None:
    record = made_sweep(tmp_path, trials=4)
    folder, best = Path(record.sweep.folder), record.result.best
    assert best is not None
    winner = Winner(
        number=best.number,
        configuration=best.configuration,
        checkpoint=f"{best.model_dir}/model.ckpt-{best.global_step}",
        global_step=best.global_step,
        exports=(f"{folder}/winner/newest/1750000000", f"{folder}/winner/parsing/1750000000"),
        metrics=dict(best.metrics),
        logged_model="models:/m-1",
        registered_model="flights",
        registered_version="3",
        final_metrics={"auc": 0.8125},
        final_model_dir=f"{folder}/final",
    )
    (folder / "winner").mkdir()
    path = folder / "winner" / "winner.json"
    path.write_text(json.dumps(asdict(winner)))
    places = tune.write_sweep_report(folder)
    assert places.sections[:2] == ("summary", "winner")
    text = text_of(places)
    for part in (
        f"Trial {best.number}, at global step 60 "
        f"Export {folder}/winner/newest/1750000000 Export {folder}/winner/parsing/1750000000 "
        f"Checkpoint {winner.checkpoint} ",
        "Logged model in MLflow models:/m-1 Registered model in MLflow flights, version 3",
        f"Trained at full length {folder}/final Its auc 0.8125",
    ):
        assert part in text, part
    assert "gone on since" not in text

    path.write_text(json.dumps(asdict(replace(winner, number=0))))
    assert "this is trial 0 as it stood when it was the best" in text_of(tune.write_sweep_report(folder))


def test_a_sweep_that_runs_has_a_report_and_its_record_stays_as_it_is(tmp_path: Path) -> None:
    metrics = {"metric": ["auc", "average_loss"], "mode": ["max", "min"]}
    folder = Path(made_sweep(tmp_path, trials=6, is_running=True, **metrics).sweep.folder)
    # A driver is writing the next line.
    with (folder / TRIALS_FILE).open("a") as file:
        file.write('{"event": "re')
    before = (folder / TRIALS_FILE).read_bytes()
    places = tune.write_sweep_report(folder, tmp_path / "elsewhere.html")
    assert (folder / TRIALS_FILE).read_bytes() == before
    assert not (folder / "report.html").exists()
    assert (places.trials, "front" in places.sections) == (7, True)
    assert {"front", "curves-average-loss"} <= set(places.charts)
    text = text_of(places)
    assert "Trials that have not ended: 1; what stands here may change" in text
    assert "7 trials: 4 done, 1 stopped, 1 failed, 1 running" in text


def test_a_sweep_whose_trials_have_no_evaluation_yet_has_a_page(tmp_path: Path) -> None:
    sweep = made_sweep(tmp_path, trials=1).sweep
    waiting = [tune.TrialResult(0, {}, "", "running", is_default=True), tune.TrialResult(1, {"model.dropout": 0.1}, "")]
    for trials in ([], waiting, [tune.TrialResult(0, {}, "", "failed", error="no")]):
        page = sweep_page(SweepMaterial(sweep, tune.SweepResult(trials, sweep.objectives, sweep.folder)))
        assert [section.id for section in page.sections] == [
            *("summary", "trials", "coordinates", "curves", "importance", "cost", "configuration")
        ]
        assert len(page.sections) == len(SECTIONS) - 2, "all but those of the winner and of several metrics"
        assert "No trial was evaluated." in page.to_html()


def test_a_report_needs_no_ray(folder: Path, tmp_path: Path) -> None:
    code = (
        f"import sys, raydnn; raydnn.tune.write_sweep_report({str(folder)!r}, {str(tmp_path / 'r.html')!r});"
        "print([name for name in ('ray', 'optuna', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no sweep.json, which raydnn tune writes; give a sweep's folder"):
        tune.write_sweep_report(tmp_path)
    with pytest.raises(IsADirectoryError, match=r"is a folder; give the file to write, such as .*/report.html"):
        tune.write_sweep_report(folder, tmp_path)
