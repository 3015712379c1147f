"""Reports of runs: what they show of two classes and of three, with weights, without evaluation, wherever they lie."""

import re
from html import unescape
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn import config, storage
from raydnn.errors import ConfigError
from raydnn.report import ReportPlaces, write_report
from raydnn.report.run_report import SECTIONS


def text_of(places: ReportPlaces) -> str:
    """The page, with its markup taken out and one space between words."""
    html = storage.read_bytes(places.report).decode()
    return " ".join(unescape(re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


@pytest.fixture(scope="module")
def written(run: config.Run) -> ReportPlaces:
    """The report of the run of two classes, beside its model."""
    return write_report(run)


def test_all_sections_are_there_with_their_charts(written: ReportPlaces, run: config.Run) -> None:
    assert written.report == f"{run.run_config().model_dir}/report.html"
    assert len(written.sections) == len(SECTIONS) == 14
    assert written.charts == (
        *("loss", "roc", "precision-recall", "scores", "calibration", "confusion", "thresholds"),
        *("slice-0-city", "slice-1-age", "slice-2-noise", "importance", "differences", "speed"),
    )
    html = Path(written.report).read_text()
    assert [html.count(f'id="chart-{name}"') for name in written.charts] == [1] * len(written.charts)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_metrics_are_those_of_an_evaluation(written: ReportPlaces, run: config.Run) -> None:
    found = run.estimator().evaluate(run.eval_input(), name="report")
    assert (written.rows, written.scored) == (600, "data.eval")
    for name in ("accuracy", "accuracy_baseline", "average_loss", "label/mean", "prediction/mean"):
        assert written.metrics[name] == pytest.approx(found[name], rel=1e-5), name
    # An evaluation takes 200 thresholds, the report all.
    assert written.metrics["auc"] == pytest.approx(found["auc"], abs=5e-3)


def test_the_page_tells_what_was_learned_and_from_what(written: ReportPlaces) -> None:
    text = text_of(written)
    for part in (
        "600 of the 600 rows of data.eval, all of equal weight",
        "global step 80",
        "Scores are probabilities of clicked = 1",
        "1,000 rows of training and 600 rows of evaluation; the label is clicked",
        "Rows by epoch",
        "hidden_units: [4]",
        "dnn/hiddenlayer_0/kernel",
        "(best F1)",
    ):
        assert part in text, part


def test_the_same_run_gives_the_same_report(written: ReportPlaces, run: config.Run, tmp_path: Path) -> None:
    again = write_report(run, tmp_path / "again.html", slices=["city", "age", "noise"])
    first, second = Path(written.report).read_text(), Path(again.report).read_text()
    # Between the two the model was evaluated under another name.
    cut = [re.sub(r'<section id="learning".*?</section>', "", html, flags=re.DOTALL) for html in (first, second)]
    assert cut[0] == cut[1]


def test_columns_rows_and_a_checkpoint_can_be_chosen(run: config.Run, tmp_path: Path) -> None:
    first = f"{run.run_config().model_dir}/model.ckpt-0"
    places = write_report(run, tmp_path / "a.html", slices=["id", "city"], max_rows=200, checkpoint=first)
    assert (places.rows, places.checkpoint) == (200, first)
    assert [name for name in places.charts if name.startswith("slice")] == ["slice-0-id", "slice-1-city"]
    text = text_of(places)
    assert "200 of the 600 rows of data.eval" in text
    assert "global step 0" in text


def test_a_run_without_evaluation_is_told_so(make_run: object) -> None:
    run = make_run(data__eval=None)  # type: ignore[operator]
    places = write_report(run)
    assert (places.rows, places.scored) == (1000, "data.train")
    text = text_of(places)
    assert "Warning: The run has no data.eval, so the report scores the rows that the model was trained on" in text
    assert "The run has no data.eval to compare with" in text


def test_three_classes_with_names_are_each_held_against_the_others(make_run: object) -> None:
    def of_three(rows: pa.Table) -> pa.Table:
        names = np.array(["low", "middle", "high"])[np.digitize(rows["age"], [40, 60])]
        return rows.set_column(rows.schema.get_field_index("clicked"), "clicked", [pa.array(names)])

    classes = {"model__n_classes": 3, "model__label_vocabulary": ["low", "middle", "high"]}
    places = write_report(make_run(of_three, **classes))  # type: ignore[operator]
    assert set(places.metrics) == {"average_loss", "average_loss_baseline", "accuracy", "accuracy_baseline"}
    assert "thresholds" not in places.charts
    text = text_of(places)
    for part in (
        "3: low, middle, high",
        "Areas under the curves",
        "Accuracy where the model is sure",
        "Predicted middle",
    ):
        assert part in text, part


def test_rows_count_with_their_weight(make_run: object) -> None:
    def weighted(rows: pa.Table) -> pa.Table:
        return rows.append_column("w", pa.array(np.where(np.asarray(rows["clicked"]) == 1, 3.0, 0.5), pa.float32()))

    run = make_run(weighted, data__weight="w")  # type: ignore[operator]
    places = write_report(run)
    labels = pq.read_table(run.eval_input().paths[0])["clicked"].to_numpy()
    share = 3.0 * labels.sum() / (3.0 * labels.sum() + 0.5 * (1 - labels).sum())
    assert places.metrics["label/mean"] == pytest.approx(share)
    assert "all 600 rows" not in text_of(places)
    assert "weighted by w" in text_of(places)
    assert "Sum of weights" in text_of(places)


def test_a_model_that_predicts_one_class_is_found(make_run: object) -> None:
    def rare(rows: pa.Table) -> pa.Table:
        labels = np.asarray(rows["clicked"]) * (np.arange(rows.num_rows) % 8 == 0)
        return rows.set_column(rows.schema.get_field_index("clicked"), "clicked", [labels])

    text = text_of(write_report(make_run(rare, model__hidden_units=[16])))  # type: ignore[operator]
    assert "warning model the model predicts '0' for all 600 scored rows" in text
    assert re.search(r"decide by another threshold, such as 0\.\d+; see Decisions", text)


def test_a_model_dir_and_a_report_may_be_urls(run: config.Run, folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(folder / "model"), "/reported", recursive=True)
    moved = config.loads(run.to_yaml(), {"run.model_dir": "memory://reported"})
    places = write_report(moved, "memory://elsewhere/report.html", slices=["city"])
    assert places.checkpoint == "memory://reported/model.ckpt-80"
    assert "global step 80" in text_of(places)
    assert "loss" in places.charts
    assert write_report(moved, slices=["city"]).report == "memory://reported/report.html"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"slices": ["town"]}, ValueError, "the data has no column 'town'; there are id, age"),
        ({"max_rows": 0}, ValueError, "max_rows must be positive; got 0"),
        ({"checkpoint": "nowhere"}, ValueError, "checkpoint: nowhere is not a checkpoint"),
    ],
)
def test_what_cannot_be_is_refused(
    run: config.Run, tmp_path: Path, arguments: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        write_report(run, tmp_path / "report.html", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_are_refused(run: config.Run, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; give the file to write, such as .*/report\.html"):
        write_report(run, tmp_path)
    with pytest.raises(ConfigError, match="run.model_dir is not given"):
        write_report(config.loads(run.to_yaml(), {"run.model_dir": None}))
    with pytest.raises(ValueError, match="there is no checkpoint in .*; train the model first"):
        write_report(config.loads(run.to_yaml(), {"run.model_dir": str(tmp_path / "new")}))
