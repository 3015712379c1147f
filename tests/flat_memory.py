"""A program that trains two workers on a streamed Ray Dataset, with an object store of 100 MB.

    python flat_memory.py FOLDER ROWS

trains one epoch over so many rows of about 100 bytes each, and leaves FOLDER/memory.json: the peaks of memory in bytes,
those of the workers after a tenth of the rows and after all.
"""

import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import raydnn

GROUP_ROWS = 20_000
FILE_ROWS = 10 * GROUP_ROWS
BATCH = 8_000
WIDTH = 25
STORE_BYTES = 100 * 2**20


class PeakRecorder(raydnn.train.SessionRunHook):
    """Writes the memory that the process had after each step, in bytes, into FOLDER/peak-PID when training ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: list[int] = []

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._sizes.append(own_bytes("self"))

    def end(self, session: Any) -> None:
        (self._folder / f"peak-{os.getpid()}").write_text(json.dumps(self._sizes))


def own_bytes(process: int | str) -> int:
    """The memory of a process, without the pages of the object store that it has looked at."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


def recorded_peaks(folder: Path, share: float = 1.0) -> list[int]:
    """The most that each process had in a share of its steps, the first ones."""
    sizes = [json.loads(path.read_text()) for path in folder.glob("peak-*")]
    return [max(of_steps[: round(share * len(of_steps))]) for of_steps in sizes]


def write_rows(folder: Path, num_rows: int) -> int:
    """Parquet files of random rows; the answer is how many bytes they take when they are decoded."""
    random = np.random.default_rng(num_rows)
    size = 0
    for start in range(0, num_rows, FILE_ROWS):
        with pq.ParquetWriter(folder / f"{start:09}.parquet", schema()) as writer:
            for _ in range(FILE_ROWS // GROUP_ROWS):
                values = random.random((GROUP_ROWS, WIDTH), np.float32)
                x = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), WIDTH)
                table = pa.table({"x": x, "label": (values[:, 0] > 0.5).astype(np.int64)}, schema())
                writer.write_table(table, row_group_size=GROUP_ROWS)
                size += table.nbytes
    return size


def schema() -> pa.Schema:
    return pa.schema({"x": pa.list_(pa.float32(), WIDTH), "label": pa.int64()})


def classifier(model_dir: Path, num_workers: int | None = None) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(num_workers=num_workers, tf_random_seed=1, save_summary_steps=0, input_engine="thread")
    columns = [raydnn.feature_column.numeric_column("x", WIDTH)]
    return raydnn.DNNClassifier([4], columns, model_dir=model_dir, config=config)


class Watch:
    """Looks ten times a second at what is spilled, and at the process that deals windows.

    Args:
        spilled: the folder for objects that find no room in the object store.
    """

    def __init__(self, spilled: Path) -> None:
        self._spilled = spilled
        self._sizes: dict[str, int] = {}
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.feeder_bytes = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._has_ended.set()
        self._thread.join()

    @property
    def spilled_bytes(self) -> int:
        """All that was seen there, also if it was read again and removed."""
        return sum(self._sizes.values())

    def _run(self) -> None:
        while not self._has_ended.wait(0.1):
            for path in self._spilled.rglob("*"):
                with suppress(FileNotFoundError):
                    if path.is_file():
                        self._sizes[path.name] = path.stat().st_size
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, ValueError):
                    if (process / "cmdline").read_bytes().startswith(b"ray::_Feeder"):
                        self.feeder_bytes = max(self.feeder_bytes, own_bytes(process.name))


def main(folder: Path, num_rows: int) -> None:
    import ray
    import ray.cloudpickle
    import ray.data

    # Workers cannot import this program by name.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    spilled = folder / "spilled"
    ray.init(
        address="local",
        num_cpus=3,
        object_store_memory=STORE_BYTES,
        object_spilling_directory=str(spilled),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    (folder / "rows").mkdir()
    decoded = write_rows(folder / "rows", num_rows)
    estimator = classifier(folder / "model", num_workers=2)
    rows = ray.data.read_parquet(str(folder / "rows"))
    with Watch(spilled) as watch:
        estimator.train(
            lambda: raydnn.inputs.from_ray(rows, label="label", batch_size=BATCH, streaming=True),
            hooks=[PeakRecorder(folder)],
        )
    found = {
        "decoded": decoded,
        "steps": int(estimator.get_variable_value("global_step")),
        "workers_early": recorded_peaks(folder, 0.1),
        "workers": recorded_peaks(folder),
        "feeder": watch.feeder_bytes,
        "spilled": watch.spilled_bytes,
    }
    (folder / "memory.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
