"""A program that trains with elastic workers on a cluster of two nodes, one of which is lost in mid-run.

    python lost_node.py FOLDER

leaves FOLDER/model, and in FOLDER/steps-PID.jsonl what each worker saw of each of its steps: step, loss, workers.
"""

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch.distributed as dist
from ray.cluster_utils import Cluster

import raydnn

ROWS = 600
BATCH = 32
EPOCHS = 2
LOST_AT = 10
"""Step before which the workers wait until the node is lost; the last checkpoint is older."""


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


class WaitForLoss(raydnn.train.SessionRunHook):
    """Leaves the id of its process in a file that is named after its node, and waits until the other node is lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def before_run(self, run_context):
        if run_context.session.global_step == LOST_AT:
            partial = self._folder / f"partial-{os.getpid()}"
            partial.write_text(str(os.getpid()))
            partial.rename(self._folder / ray.get_runtime_context().get_node_id())
            wait_for(self._folder / "lost")


def wait_for(path: Path) -> None:
    while not path.exists():
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

    def lose_node() -> None:
        for each in cluster.list_all_nodes():
            wait_for(folder / each.node_id)
        cluster.remove_node(node, allow_graceful=False)
        # A machine that is lost takes its workers with it, at once.
        with suppress(ProcessLookupError):
            os.kill(int((folder / node.node_id).read_text()), signal.SIGKILL)
        (folder / "lost").touch()

    threading.Thread(target=lose_node, daemon=True).start()
    elastic = classifier(folder / "model", num_workers=(1, 2), max_failures=3)
    elastic.train(input_fn, hooks=[StepRecorder(folder), WaitForLoss(folder)])
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
