"""Some rows of a table set apart, to evaluate on what was not trained on."""

from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from raydnn import storage
from raydnn.config.rows import RowsInput
from raydnn.errors import ConfigError
from raydnn.inputs.fragments import find_files

KEPT, HELD_OUT = "train.parquet", "eval.parquet"


def hold_out(source: RowsInput, out: str, share: float, seed: int) -> tuple[int, int]:
    """Write the rows of CSV or Parquet files as two Parquet files; any number of rows stream through this process.

    Each row is held out with the same probability, whatever is in it.

    Args:
        source: the rows.
        out: the folder for the files KEPT and HELD_OUT; it appears when both are written. Any fsspec URL.
        share: of the rows that are held out, between 0 and 1.
        seed: the same one holds out the same rows.

    Returns:
        How many rows were kept, and how many held out.

    Raises:
        ConfigError: files are not there, are of another format or cannot be read, or one part would be empty.
        FileExistsError: the folder is there already.
    """
    if source.format not in ("csv", "parquet"):
        raise ConfigError(f"{source.paths[0]} is of the format {source.format}; only CSV and Parquet are split")
    draw = np.random.default_rng(seed)
    try:
        rows = _open(source)
        with storage.filled_folder(storage.absolute(out)) as folder, ExitStack() as stack:
            writers = [_writer(storage.join(folder, name), rows.schema, stack) for name in (KEPT, HELD_OUT)]
            counts = [0, 0]
            for batch in rows.to_batches():
                is_held_out = draw.random(batch.num_rows) < share
                for part, mask in enumerate((~is_held_out, is_held_out)):
                    chosen = batch.filter(pa.array(mask))
                    writers[part].write_batch(chosen)
                    counts[part] += chosen.num_rows
            if not all(counts):
                kept, held_out = counts
                raise ConfigError(
                    f"of {kept + held_out} rows in {', '.join(source.paths)}, {held_out} would be held out; both parts "
                    "need some: choose another share"
                )
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{', '.join(source.paths)} cannot be read as {source.format}: {error}") from error
    return counts[0], counts[1]


def _open(source: RowsInput) -> pyarrow.dataset.Dataset:
    files = find_files(source.paths, f".{source.format}")
    inner = [storage.filesystem(file)[1] for file in files]
    return pyarrow.dataset.dataset(inner, format=source.format, filesystem=storage.filesystem(files[0])[0])


def _writer(path: str, schema: pa.Schema, stack: ExitStack) -> pq.ParquetWriter:
    system, inner = storage.filesystem(path)
    return stack.enter_context(pq.ParquetWriter(stack.enter_context(system.open(inner, "wb")), schema))
