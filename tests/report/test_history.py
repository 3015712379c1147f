"""Learning curves out of event files."""

from pathlib import Path

from raydnn import config
from raydnn.report.history import History, read_history
from raydnn.tracking.event_file import EventFileWriter


def test_the_curves_of_a_run_are_read(run: config.Run) -> None:
    history = read_history(str(run.run_config().model_dir))
    assert history.train["average_loss"].x.tolist() == [1, 11, 21, 31, 41, 51, 61, 71]
    assert history.train["average_loss"].y[0] > history.train["average_loss"].y[-1]
    assert history.evaluations[""]["auc"].x.tolist() == [80]


def test_a_resumed_run_is_one_curve_and_its_later_values_stand(tmp_path: Path) -> None:
    for steps, value in (((10, 20, 30), 1.0), ((20, 30, 40), 2.0)):
        with EventFileWriter(tmp_path) as writer:
            for step in steps:
                writer.add_scalar("loss", value, step)
    with EventFileWriter(tmp_path / "eval_test") as writer:
        writer.add_scalar("auc", 0.5, 40)
    history = read_history(str(tmp_path))
    curve = history.train["loss"]
    assert dict(zip(curve.x, curve.y, strict=True)) == {10: 1, 20: 2, 30: 2, 40: 2}
    assert list(history.evaluations) == ["test"]


def test_a_folder_without_event_files_has_no_history(tmp_path: Path) -> None:
    (tmp_path / "eval_test").mkdir()
    assert read_history(str(tmp_path)) == History()
