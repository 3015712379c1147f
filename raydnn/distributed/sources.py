"""Files and tables that Ray Data reads."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import ray.data

from raydnn import storage
from raydnn.distributed.cluster import ensure_ray
from raydnn.distributed.environment import environment
from raydnn.inputs.fragments import find_files

_FILE_READERS: dict[str, Callable[..., ray.data.Dataset]] = {
    "csv": ray.data.read_csv,
    "parquet": ray.data.read_parquet,
}
_PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg"}


def read(kind: str, paths: Sequence[str], options: Mapping[str, Any]) -> ray.data.Dataset:
    """The rows of files or of a table, which are read when they are used.

    Args:
        kind: 'csv', 'parquet', 'delta' or 'iceberg'.
        paths: of files, or of folders with files whose names contain '.csv' or '.parquet', local or any fsspec URL; the
            folder of one Delta table; or the name of one Iceberg table.
        options: more arguments for the function of Ray Data that reads the format.

    Raises:
        FileNotFoundError: a path is not there.
        ModuleNotFoundError: the package that reads a table is not installed.
    """
    package = _PACKAGES.get(kind)
    if package is not None and find_spec(package) is None:
        raise ModuleNotFoundError(
            f"{paths[0]} is read with the package {package}, which is not installed: pip install 'raydnn[{kind}]'"
        )
    ensure_ray()
    if kind == "iceberg":
        return ray.data.read_iceberg(table_identifier=paths[0], **options)
    if kind == "delta":
        return ray.data.read_delta(storage.absolute(paths[0]), **options)
    files = find_files(list(paths), f".{kind}")
    # Ray Data would leave out files with other ends of their names without a word.
    options = {"file_extensions": None, **options}
    if not all(storage.is_local(path) for path in files):
        # The same file system as everywhere else, with its own settings.
        options = {"filesystem": storage.filesystem(files[0])[0], **options}
        files = [storage.filesystem(path)[1] for path in files]
    with environment({"RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": str(_num_footer_readers(len(files)))}):
        return _FILE_READERS[kind](files, **options)


def _num_footer_readers(num_files: int) -> int:
    """How many processes read the ends of Parquet files, in parts of ten files.

    Ray Data would start 32 of them for a single file, which takes longer on small machines than the reading itself.
    """
    return min(32, -(-num_files // 10))
