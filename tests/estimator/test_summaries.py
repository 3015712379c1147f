"""Event files: what TensorBoard shows of training and evaluation."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import fake_batches, fake_classifier, fake_input_fn
from fake_training import RecordingHook
from tensorboardX.proto.event_pb2 import Event

from raydnn import RunConfig
from raydnn.losses import Reduction
from raydnn.tracking.event_file import read_scalars


def histogram_tags(folder: Path) -> set[str]:
    """Tags of the histograms in the folder's only event file."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, tags = path.read_bytes(), set()
    while data:
        length = int.from_bytes(data[:8], "little")
        tags |= {
            value.tag for value in Event.FromString(data[12 : 12 + length]).summary.value if value.HasField("histo")
        }
        data = data[12 + length + 4 :]
    return tags


def test_training_writes_tensorflows_tags(tmp_path: Path) -> None:
    config = RunConfig(save_summary_steps=2, log_step_count_steps=2)
    fake_classifier(tmp_path, config, hidden_units=[4, 3]).train(fake_input_fn(5))
    scopes = ("dnn/dnn/hiddenlayer_0", "dnn/dnn/hiddenlayer_1", "dnn/dnn/logits")
    summaries = {"loss", "average_loss", *(f"{scope}/fraction_of_zero_values" for scope in scopes)}
    tags = {step: set(values) for step, values in read_scalars(tmp_path).items()}
    rate = {"global_step/sec"}
    assert tags == {1: summaries, 3: summaries | rate, 5: summaries | rate}
    assert histogram_tags(tmp_path) == {f"{scope}/activation" for scope in scopes}


def test_the_values_are_those_of_the_step(tmp_path: Path) -> None:
    hook = RecordingHook(fetches="loss")
    batches = [({**features, "w": [2.0] * 8}, labels) for features, labels in fake_batches(3)]
    fake_classifier(tmp_path, RunConfig(save_summary_steps=1), weight_column="w").train(lambda: iter(batches), [hook])
    scalars = read_scalars(tmp_path)
    assert [scalars[step]["loss"] for step in (1, 2, 3)] == hook.results
    for values in scalars.values():
        assert values["average_loss"] == pytest.approx(values["loss"] / 16, rel=1e-6)
        assert 0 <= values["dnn/dnn/hiddenlayer_0/fraction_of_zero_values"] <= 1


@pytest.mark.parametrize("reduction", [Reduction.MEAN, Reduction.SUM_OVER_BATCH_SIZE])
def test_the_average_loss_is_written_only_beside_a_sum(tmp_path: Path, reduction: str) -> None:
    fake_classifier(tmp_path, loss_reduction=reduction).train(fake_input_fn(1))
    assert "loss" in read_scalars(tmp_path)[1]
    assert "average_loss" not in read_scalars(tmp_path)[1]


@pytest.mark.parametrize("save_summary_steps", [0, None])
def test_summaries_can_be_turned_off(tmp_path: Path, save_summary_steps: int | None) -> None:
    config = RunConfig(save_summary_steps=save_summary_steps, log_step_count_steps=None)
    fake_classifier(tmp_path, config).train(fake_input_fn(3))
    assert not list(tmp_path.glob("events.*"))


def test_steps_per_second_can_be_turned_off_alone(tmp_path: Path) -> None:
    fake_classifier(tmp_path, RunConfig(save_summary_steps=1, log_step_count_steps=None)).train(fake_input_fn(3))
    assert not [step for step, values in read_scalars(tmp_path).items() if "global_step/sec" in values]


@pytest.mark.parametrize(("name", "folder"), [(None, "eval"), ("holdout", "eval_holdout")])
def test_each_evaluation_is_written_at_its_global_step(tmp_path: Path, name: str | None, folder: str) -> None:
    estimator = fake_classifier(tmp_path, RunConfig(tf_random_seed=1))
    found = {}
    for step in (2, 4):
        estimator.train(fake_input_fn(2))
        found[step] = estimator.evaluate(fake_input_fn(2), name=name)
        assert found[step].pop("global_step") == step
    assert read_scalars(tmp_path / folder) == {
        step: {tag: np.float32(value) for tag, value in metrics.items()} for step, metrics in found.items()
    }
    assert "eval" not in {tag.split("/")[0] for values in read_scalars(tmp_path).values() for tag in values}


def test_an_evaluation_names_its_checkpoint(tmp_path: Path) -> None:
    estimator = fake_classifier(tmp_path).train(fake_input_fn(1))
    estimator.evaluate(fake_input_fn(1))
    (path,) = (tmp_path / "eval").glob("events.out.tfevents.*")
    assert f"{tmp_path}/model.ckpt-1".encode() in path.read_bytes()
