"""TensorBoard event files: written as TensorFlow writes them, and read back."""

import itertools
import logging
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboardX.record_writer import RecordWriter

from raydnn import storage
from raydnn.errors import DataLossError, InvalidArgumentError
from raydnn.inputs.tfrecord import read_records
from raydnn.tracking.histogram import make_histogram

__all__ = ["EventFileWriter", "read_scalars"]

UPLOAD_SECS = 30.0
UPLOAD_SHARE = 0.1
"""Uploads follow each other so slowly that they take no more than this share of the time."""

_logger = logging.getLogger(__name__)


class EventFileWriter:
    """One event file, `events.out.tfevents.{unix seconds}.{host}{suffix}`, created with its first value.

    Values are buffered; `flush` puts them on disk. If the disk takes nothing more, a warning says so and the rest is
    dropped: summaries never stop a training. To be used from one thread.

    Args:
        logdir: folder of the file, local or any fsspec URL; made if missing. Event files grow by appending, which
            object stores cannot: for a folder that is not local the file grows in a temporary one, and all of it is
            uploaded by `flush` and `close`, and with a value that comes `UPLOAD_SECS` or more after the last upload.
        filename_suffix: text after the host in the file's name.

    Example:
        with EventFileWriter(model_dir) as writer:
            writer.add_scalar("loss", 0.5, step=10)
    """

    def __init__(self, logdir: str | Path, filename_suffix: str = "") -> None:
        self._logdir = storage.filesystem(str(logdir))[1] if storage.is_local(str(logdir)) else str(logdir)
        self._is_writable = True
        self._upload: _Upload | None = None
        self._filename_suffix = filename_suffix
        self._records: Any = None
        self._closed = False

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Adds one number (stored as float32).

        Raises:
            ValueError: the writer is closed.
        """
        self._add(Summary.Value(tag=tag, simple_value=float(value)), step)

    def add_histogram(self, tag: str, values: NDArray[np.generic], step: int) -> None:
        """Adds the distribution of values, in TensorFlow's buckets; an empty array adds nothing.

        Raises:
            InvalidArgumentError: a value is NaN or infinite.
            ValueError: the writer is closed.
        """
        try:
            histogram = make_histogram(values)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"summary {tag!r} at step {step}: {error}") from None
        if histogram is None:
            return
        proto = HistogramProto(
            min=histogram.minimum,
            max=histogram.maximum,
            num=histogram.num,
            sum=histogram.total,
            sum_squares=histogram.total_of_squares,
            bucket_limit=histogram.bucket_limits,
            bucket=histogram.bucket_counts,
        )
        self._add(Summary.Value(tag=tag, histo=proto), step)

    def add_text(self, tag: str, text: str, step: int) -> None:
        """Adds one string, as a scalar string tensor that TensorBoard's text page shows.

        Raises:
            ValueError: the writer is closed.
        """
        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=TensorShapeProto(dim=[]))
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        self._add(Summary.Value(tag=tag, tensor=tensor, metadata=metadata), step)

    def add_array(self, tag: str, values: NDArray[np.generic], step: int) -> None:
        """Adds an array, as a tensor (stored as float32).

        Raises:
            ValueError: the writer is closed.
        """
        sizes = [TensorShapeProto.Dim(size=size) for size in values.shape]
        numbers = np.asarray(values, np.float32).ravel().tolist()
        tensor = TensorProto(dtype="DT_FLOAT", float_val=numbers, tensor_shape=TensorShapeProto(dim=sizes))
        self._add(Summary.Value(tag=tag, tensor=tensor), step)

    def flush(self) -> None:
        """Puts what was added on disk."""
        with self._spared():
            if self._records is not None:
                self._records.flush()
            if self._upload is not None:
                self._upload.run()

    def close(self) -> None:
        """Flushes and closes the file; a second call does nothing."""
        self._closed = True
        self.flush()
        if self._records is not None:
            self._records.close()
            self._records = None
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _add(self, value: Any, step: int) -> None:
        if self._closed:
            raise ValueError(f"the event file writer of {self._logdir} is closed")
        if not self._is_writable:
            return
        with self._spared():
            if self._records is None:
                self._records = RecordWriter(str(self._claim_file()))
                self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
            self._write(Event(wall_time=time.time(), step=int(step), summary=Summary(value=[value])))
            if self._upload is not None and self._upload.is_due():
                self._records.flush()
                self._upload.run()

    @contextmanager
    def _spared(self) -> Iterator[None]:
        """Give the file up, with a warning, where its file system does not take what the block writes."""
        try:
            yield
        except Exception as error:
            # The clients of object stores raise errors of their own kinds.
            if self._upload is None and not isinstance(error, OSError):
                raise
            _logger.warning("No more summaries are written into %s: %s", self._logdir, error)
            self._is_writable = False
            records, self._records = self._records, None
            upload, self._upload = self._upload, None
            with suppress(OSError):
                # What its buffer still holds is lost too.
                if records is not None:
                    records.close()
            if upload is not None:
                upload.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())

    def _claim_file(self) -> Path:
        """Creates an empty file under a name that nobody else has; elsewhere than here, a temporary one."""
        # Two writers may start within one second; RecordWriter would empty the first one's file.
        for seconds in itertools.count(int(time.time())):
            name = f"events.out.tfevents.{seconds}.{socket.gethostname()}{self._filename_suffix}"
            url = storage.join(self._logdir, name)
            if not storage.is_local(url):
                if storage.exists(url):
                    continue
                self._upload = _Upload(url)
                return self._upload.file
            path = Path(url)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            return path
        raise AssertionError("itertools.count has no end")


class _Upload:
    """A temporary file that is copied to a URL now and then.

    Args:
        url: of the copy.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder = tempfile.TemporaryDirectory(prefix="raydnn-events-")
        self._next_time = time.monotonic() + UPLOAD_SECS
        self._size = 0
        self.file = Path(self._folder.name, "events")

    def is_due(self) -> bool:
        """Whether it is time for another copy."""
        return time.monotonic() >= self._next_time

    def run(self) -> None:
        """Copy the file, if it has grown."""
        size = self.file.stat().st_size
        if size == self._size:
            return
        start = time.monotonic()
        system, path = storage.filesystem(self._url)
        system.put_file(str(self.file), path)
        self._size, end = size, time.monotonic()
        self._next_time = end + max(UPLOAD_SECS, (end - start) / UPLOAD_SHARE)

    def close(self) -> None:
        """Remove the file."""
        self._folder.cleanup()


def read_scalars(logdir: str | Path) -> dict[int, dict[str, float]]:
    """Reads every scalar of the event files in a folder (not in its subfolders).

    Args:
        logdir: the folder, local or any fsspec URL; a missing one holds no scalars.

    Returns:
        step -> tag -> value. Files are merged in the order of their first record's time, and a later
        value of the same step and tag wins. A damaged or unfinished file counts up to its first bad record.
    """
    files = []
    for name in storage.list_folder(str(logdir)):
        if "tfevents" not in name:
            continue
        events = _read_events(storage.join(str(logdir), name))
        first = next(events, None)
        if first is not None:
            files.append((first.wall_time, name, itertools.chain([first], events)))
    scalars: dict[int, dict[str, float]] = {}
    for _, _, events in sorted(files, key=lambda file: file[:2]):
        for event in events:
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.setdefault(event.step, {})[value.tag] = value.simple_value
    return scalars


def _read_events(path: str) -> Iterator[Any]:
    """Yields a file's events up to its end or its first bad record."""
    try:
        for record in read_records(path):
            yield Event.FromString(record)
    except DataLossError as error:
        # The usual cause of a truncated file is a writer that is at work right now.
        level = logging.DEBUG if "truncated" in str(error) else logging.WARNING
        _logger.log(level, "Read up to the first bad record: %s", error)
