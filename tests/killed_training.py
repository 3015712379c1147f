"""A program that trains and is killed, at aimed moments and at random ones; each time in a forked process.

    python killed_training.py FOLDER

leaves FOLDER/NAME for each of `KILLS`, and FOLDER/random. Tests look at what is left and go on from there.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_data import fake_batches, fake_classifier

import raydnn
from raydnn import storage
from raydnn.train import latest_checkpoint

STEPS = 10
RANDOM_KILLS = 8


def classifier(model_dir: Path, save_checkpoints_steps: int = 3) -> raydnn.DNNClassifier:
    """The same weights at the same step, however often it was killed: each step sees the same batch."""
    config = raydnn.RunConfig(
        tf_random_seed=1, save_checkpoints_steps=save_checkpoints_steps, keep_checkpoint_max=2, save_summary_steps=0
    )
    return fake_classifier(model_dir, config)


def train(model_dir: Path, max_steps: int = STEPS, **settings: Any) -> raydnn.DNNClassifier:
    return classifier(model_dir, **settings).train(lambda: fake_batches(1)[0], max_steps=max_steps)


def kill_before(owner: Any, name: str, is_the_moment: Callable[..., bool]) -> None:
    """Kill this process before a call whose arguments are those of the moment."""
    real = getattr(owner, name)

    def killing(*args: Any, **kwargs: Any) -> Any:
        if is_the_moment(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, name, killing)


def before_the_folder_has_its_name() -> None:
    kill_before(Path, "rename", lambda path, _: path.name.startswith("model.ckpt-6.tmp-"))


def before_the_state_file() -> None:
    kill_before(storage, "write_bytes", lambda _, content: b"model.ckpt-6" in content)


def while_the_state_file_is_written() -> None:
    def is_the_moment(source: Any, target: Any) -> bool:
        content = Path(source).read_bytes()
        if Path(target).name != "checkpoint" or b"model.ckpt-6" not in content:
            return False
        os.truncate(source, len(content) // 2)
        return True

    kill_before(os, "replace", is_the_moment)


def before_the_oldest_is_removed() -> None:
    kill_before(storage, "discard_folder", lambda url: url.endswith("model.ckpt-0"))


def while_the_oldest_is_removed() -> None:
    def is_the_moment(path: Any) -> bool:
        if "model.ckpt-0" not in str(path):
            return False
        (Path(path) / "variables.safetensors").unlink()
        return True

    kill_before(shutil, "rmtree", is_the_moment)


# All strike when step 6 is saved beside steps 0 and 3, of which 0 has to go.
KILLS: dict[str, tuple[Callable[[], None], ...]] = {
    "before_name": (before_the_folder_has_its_name,),
    "before_state": (before_the_state_file,),
    "in_state": (while_the_state_file_is_written,),
    "before_removal": (before_the_oldest_is_removed,),
    "in_removal": (while_the_oldest_is_removed,),
    # A folder that no state file names is replaced by one of the same step.
    "in_replacement": (before_the_state_file, before_the_folder_has_its_name),
}


def newest_step(model_dir: Path) -> int:
    newest = latest_checkpoint(str(model_dir))
    return 0 if newest is None else int(newest.rpartition("-")[2])


def in_a_fork(action: Callable[[], Any]) -> int:
    """Run in a process of its own; the answer is its id."""
    process = os.fork()
    if process == 0:
        try:
            action()
        finally:
            os._exit(1)
    return process


def main(folder: Path) -> None:
    for name, kills in KILLS.items():
        for kill in kills:
            process = in_a_fork(lambda name=name, kill=kill: (kill(), train(folder / name)))
            assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL, name
    delays = random.Random(4)
    step = 0
    for _ in range(RANDOM_KILLS):
        process = in_a_fork(lambda: train(folder / "random", max_steps=10**6, save_checkpoints_steps=1))
        time.sleep(delays.uniform(0.05, 0.6))
        os.kill(process, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL, "random"
        before, step = step, newest_step(folder / "random")
        assert step >= before


if __name__ == "__main__":
    main(Path(sys.argv[1]))
