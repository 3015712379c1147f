"""A signal to the driver stops the workers of Ray Train after a step, with a checkpoint."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import raydnn
from raydnn.errors import TrainingStoppedError
from raydnn.feature_column import numeric_column
from raydnn.train import latest_checkpoint, load_checkpoint, stop_on_signals

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_four_cpus"), pytest.mark.filterwarnings("default")]


def send_ctrl_c_when_there_is_a_checkpoint(model_dir: Path, has_ended: threading.Event) -> None:
    while latest_checkpoint(str(model_dir)) is None:
        if has_ended.wait(0.05):
            return
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_step_of_all_workers_and_saves(tmp_path: Path) -> None:
    config = raydnn.RunConfig(num_workers=2, tf_random_seed=1)
    classifier = raydnn.DNNClassifier([4], [numeric_column("x")], tmp_path, config=config)
    x = np.arange(64, dtype=np.float32) / 64
    data = raydnn.inputs.from_numpy({"x": x}, (x > 0.5).astype(np.int64), batch_size=16, num_epochs=None)
    has_ended = threading.Event()
    threading.Thread(target=send_ctrl_c_when_there_is_a_checkpoint, args=[tmp_path, has_ended], daemon=True).start()
    try:
        with stop_on_signals(), pytest.raises(TrainingStoppedError, match="by SIGINT"):
            classifier.train(lambda: data)
    finally:
        has_ended.set()
    checkpoint = load_checkpoint(str(tmp_path))
    assert isinstance(checkpoint, raydnn.train.CheckpointReader)
    position = checkpoint.manifest.input_position
    assert position is not None
    assert checkpoint.global_step == 4 * position["epoch"] + position["batch"] > 0
    assert (tmp_path / "train_call.json").exists()
    assert not (tmp_path / "ray_train").exists()


def test_workers_do_not_start_after_an_earlier_request(tmp_path: Path) -> None:
    classifier = raydnn.DNNClassifier([4], [numeric_column("x")], tmp_path, config=raydnn.RunConfig(num_workers=2))
    data = raydnn.inputs.from_numpy({"x": np.zeros(8, np.float32)}, np.zeros(8, np.int64))
    with stop_on_signals() as request, pytest.raises(TrainingStoppedError, match="no checkpoint was saved"):
        request.make()
        classifier.train(lambda: data)
