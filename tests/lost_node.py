"""A program that trains with elastic workers on a cluster of two nodes: one is lost in mid-run, and another comes.

    python lost_node.py FOLDER

leaves FOLDER/model, and in FOLDER/steps-PID.jsonl what each worker saw of each of its steps: step, loss, workers.
"""

import json
import os
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch.distributed as dist
from ray.cluster_utils import Cluster

import raydnn
from raydnn.distributed import launcher

ROWS = 600
BATCH = 32
EPOCHS = 2
LOST_AT = 10
"""Step before which the workers wait until the node is lost; the last checkpoint is older."""
JOINED_AT = 22
"""Step before which the worker that is left waits until it is joined by another; the last checkpoint is older."""


class StepRecorder(raydnn.train.SessionRunHook):
    """Writes down each step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def before_run(self, run_context):
        return raydnn.train.SessionRunArgs(["loss", "global_step"])

    def after_run(self, run_context, run_values):
        loss, step = map(float, run_values.results)
        with (self._folder / f"steps-{os.getpid()}.jsonl").open("a") as file:
            print(json.dumps([int(step), loss, dist.get_world_size()]), file=file)


class WaitForChanges(raydnn.train.SessionRunHook):
    """Waits until the other node is lost, and until a new one has joined.

    For the loss it leaves the id of its process in a file that is named after its node.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def before_run(self, run_context):
        if run_context.session.global_step == LOST_AT:
            partial = self._folder / f"partial-{os.getpid()}"
            partial.write_text(str(os.getpid()))
            partial.rename(self._folder / ray.get_runtime_context().get_node_id())
            wait_for(self._folder / "lost")
        if run_context.session.global_step == JOINED_AT and dist.get_world_size() == 1:
            (self._folder / "left").touch()
            # To the end of this process: workers are replaced when others join.
            wait_for(self._folder / "never")


def wait_for(path: Path, training: Future[None] | None = None) -> None:
    """Until a file is there; training that has ended will not make it."""
    while not path.exists():
        if training is not None and training.done():
            raise RuntimeError(f"{path} was never made") from training.exception()
        time.sleep(0.05)


def classifier(model_dir: Path, **settings: Any) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=4, save_checkpoints_steps=4, **settings)
    return raydnn.DNNClassifier([4], [raydnn.feature_column.numeric_column("x", 3)], model_dir=model_dir, config=config)


def input_fn() -> Any:
    random = np.random.default_rng(6)
    x = random.normal(size=(ROWS, 3)).astype(np.float32)
    labels = (x.sum(axis=1) > 0).astype(np.int64)
    return raydnn.inputs.from_numpy({"x": x}, labels, batch_size=BATCH, num_epochs=EPOCHS, shuffle=True, seed=8)


def main(folder: Path) -> None:
    head = {
        "num_cpus": 1,
        "include_dashboard": False,
        # A node is known to be lost after 5 seconds without an answer instead of 15.
        "_system_config": {"health_check_period_ms": 1000},
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

    launcher.GROWTH_SECS = 3.0

    def train() -> None:
        elastic = classifier(folder / "model", num_workers=(1, 2), max_failures=3)
        elastic.train(input_fn, hooks=[StepRecorder(folder), WaitForChanges(folder)])

    # Only the main thread can add nodes.
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        for each in cluster.list_all_nodes():
            wait_for(folder / each.node_id, training)
        cluster.remove_node(node, allow_graceful=False)
        # A machine that is lost takes its workers with it, at once.
        with suppress(ProcessLookupError):
            os.kill(int((folder / node.node_id).read_text()), signal.SIGKILL)
        (folder / "lost").touch()
        wait_for(folder / "left", training)
        cluster.add_node(num_cpus=1)
        training.result()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
