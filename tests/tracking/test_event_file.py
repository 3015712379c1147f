"""Event files: what is written is what TensorBoard and read_scalars find."""

import socket
import struct
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tensorboardX.proto.event_pb2 import Event

from raydnn import storage
from raydnn.errors import InvalidArgumentError
from raydnn.tracking import event_file
from raydnn.tracking.event_file import EventFileWriter, read_scalars
from raydnn.tracking.histogram import make_histogram


def _only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def _events(path: Path) -> list[Any]:
    """The records of a file, by TFRecord framing alone."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[12 + length + 4 :]
    return events


def test_scalars_come_back_with_their_tags_as_given(tmp_path: Path) -> None:
    tags = ["label/mean", "dnn/dnn/hiddenlayer_0/fraction_of_zero_values", "global_step/sec", "/odd tag: é"]
    with EventFileWriter(tmp_path) as writer:
        for index, tag in enumerate(tags):
            writer.add_scalar(tag, index + 0.25, step=7)
        writer.add_scalar("loss", np.float32(1.5), step=np.int64(2**40))  # type: ignore[arg-type]
    expected = {tag: index + 0.25 for index, tag in enumerate(tags)}
    assert {7: expected, 2**40: {"loss": 1.5}} == read_scalars(tmp_path)


def test_file_appears_only_with_its_first_value(tmp_path: Path) -> None:
    logdir = tmp_path / "eval"
    with EventFileWriter(logdir) as writer:
        writer.flush()
        writer.add_histogram("empty", np.empty((0, 4)), step=1)
        assert not logdir.exists()
        writer.add_scalar("loss", 1.0, step=1)
        assert logdir.exists()
    with EventFileWriter(tmp_path / "never"):
        pass
    assert not (tmp_path / "never").exists()


def test_file_name_is_tensorflows(tmp_path: Path) -> None:
    before = int(time.time())
    with EventFileWriter(tmp_path, filename_suffix=".v2") as writer:
        writer.add_scalar("loss", 1.0, step=1)
    prefix = "events.out.tfevents."
    name = _only_file(tmp_path).name
    assert name.startswith(prefix)
    seconds, _, host = name.removeprefix(prefix).partition(".")
    assert before <= int(seconds) <= time.time()
    assert f"{socket.gethostname()}.v2" == host


def test_flushed_values_are_readable_while_the_writer_is_open(tmp_path: Path) -> None:
    with EventFileWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1.0, step=1)
        writer.flush()
        assert read_scalars(tmp_path) == {1: {"loss": 1.0}}


def test_writers_of_the_same_second_keep_their_own_files_and_the_later_value_wins(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        with EventFileWriter(tmp_path) as writer:
            writer.add_scalar("loss", value, step=5)
            writer.add_scalar(f"only_{value}", value, step=5)
    assert len(list(tmp_path.iterdir())) == 3
    assert read_scalars(tmp_path) == {5: {"loss": 3.0, "only_1.0": 1.0, "only_2.0": 2.0, "only_3.0": 3.0}}


def test_files_merge_by_time_and_not_by_name(tmp_path: Path) -> None:
    for value, name in ((1.0, "z.tfevents.1"), (2.0, "a.tfevents.1")):
        with EventFileWriter(tmp_path / name) as writer:
            writer.add_scalar("loss", value, step=5)
        _only_file(tmp_path / name).rename(tmp_path / "moving")
        (tmp_path / name).rmdir()
        (tmp_path / "moving").rename(tmp_path / name)
    assert read_scalars(tmp_path) == {5: {"loss": 2.0}}


def test_a_file_on_an_object_store_is_uploaded_whole_by_flush_and_close() -> None:
    logdir = f"memory://{uuid.uuid4().hex}"
    with EventFileWriter(logdir) as writer:
        writer.add_scalar("loss", 1.0, step=1)
        assert read_scalars(logdir) == {}
        writer.flush()
        assert read_scalars(logdir) == {1: {"loss": 1.0}}
        writer.add_scalar("loss", 2.0, step=2)
        assert writer._upload is not None
        temporary = writer._upload.file
    assert read_scalars(logdir) == {1: {"loss": 1.0}, 2: {"loss": 2.0}}
    (name,) = storage.list_folder(logdir)
    assert name.startswith("events.out.tfevents.")
    assert not temporary.parent.exists()


def test_values_on_an_object_store_are_uploaded_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "UPLOAD_SECS", 0.0)
    monkeypatch.setattr(event_file, "UPLOAD_SHARE", 1e9)
    logdir = f"memory://{uuid.uuid4().hex}"
    with EventFileWriter(logdir) as writer:
        for step in (1, 2):
            writer.add_scalar("loss", 1.0, step=step)
            assert list(read_scalars(logdir)) == list(range(1, step + 1))
        monkeypatch.setattr(event_file, "UPLOAD_SHARE", 1e-9)
        writer.add_scalar("loss", 1.0, step=3)
        writer.add_scalar("loss", 1.0, step=4)
        assert list(read_scalars(logdir)) == [1, 2, 3], "one that took long is not followed by another at once"


def test_an_object_store_that_takes_nothing_costs_a_warning_and_no_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any, **settings: Any) -> None:
        raise RuntimeError("no rights")

    logdir = f"memory://{uuid.uuid4().hex}"
    with EventFileWriter(logdir) as writer:
        writer.add_scalar("loss", 1.0, step=1)
        monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
        writer.flush()
        writer.add_scalar("loss", 2.0, step=2)
    assert caplog.messages == [f"No more summaries are written into {logdir}: no rights"]
    assert read_scalars(logdir) == {}


def test_closed_writer_refuses_values(tmp_path: Path) -> None:
    writer = EventFileWriter(tmp_path)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.add_scalar("loss", 1.0, step=1)


def test_missing_and_empty_folders_hold_no_scalars(tmp_path: Path) -> None:
    assert read_scalars(tmp_path / "missing") == {}
    assert read_scalars(str(tmp_path)) == {}


def test_other_files_and_subfolders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("not an event file")
    with EventFileWriter(tmp_path / "eval") as writer:
        writer.add_scalar("loss", 1.0, step=1)
    assert read_scalars(tmp_path) == {}


def _write_two_steps(folder: Path) -> Path:
    with EventFileWriter(folder) as writer:
        writer.add_scalar("loss", 1.0, step=1)
        writer.add_scalar("loss", 2.0, step=2)
    return _only_file(folder)


def test_unfinished_last_record_is_left_out_at_every_length(tmp_path: Path) -> None:
    path = _write_two_steps(tmp_path)
    whole = path.read_bytes()
    last_start = len(whole) - len(_events(path)[-1].SerializeToString()) - 16
    for length in range(last_start, len(whole)):
        path.write_bytes(whole[:length])
        assert read_scalars(tmp_path) == {1: {"loss": 1.0}}


@pytest.mark.parametrize("distance_from_end", [2, 10, 30])
def test_damaged_last_record_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, distance_from_end: int
) -> None:
    path = _write_two_steps(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[-distance_from_end] ^= 0xFF
    path.write_bytes(damaged)
    assert read_scalars(tmp_path) == {1: {"loss": 1.0}}
    assert "damaged" in caplog.text


def test_file_that_is_no_event_file_holds_no_scalars(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"\xff" * 100)
    assert read_scalars(tmp_path) == {}


def test_first_record_names_the_format_version(tmp_path: Path) -> None:
    first, second, _ = _events(_write_two_steps(tmp_path))
    assert first.file_version == "brain.Event:2"
    assert (
        second.step,
        second.summary.value[0].tag,
        second.summary.value[0].simple_value,
    ) == (1, "loss", 1.0)


def test_text_is_a_scalar_string_tensor_under_its_own_tag(tmp_path: Path) -> None:
    with EventFileWriter(tmp_path) as writer:
        writer.add_text("checkpoint_path", "/models/Zürich/model.ckpt-10", step=10)
    (value,) = _events(_only_file(tmp_path))[1].summary.value
    assert value.tag == "checkpoint_path"
    assert ["/models/Zürich/model.ckpt-10".encode()] == list(value.tensor.string_val)
    assert len(value.tensor.tensor_shape.dim) == 0
    assert value.metadata.plugin_data.plugin_name == "text"
    assert read_scalars(tmp_path) == {}


def test_histogram_record_describes_its_values(tmp_path: Path) -> None:
    values = np.array([[-1.0, 0.0], [0.5, 100.0]], dtype=np.float32)
    with EventFileWriter(tmp_path) as writer:
        writer.add_histogram("dnn/dnn/logits/activation", values, step=3)
    event = _events(_only_file(tmp_path))[1]
    (value,) = event.summary.value
    assert (event.step, value.tag) == (3, "dnn/dnn/logits/activation")
    histogram = value.histo
    assert (histogram.min, histogram.max, histogram.num, histogram.sum) == (-1.0, 100.0, 4, 99.5)
    assert histogram.sum_squares == 10001.25
    assert sum(histogram.bucket) == 4
    assert len(histogram.bucket) == len(histogram.bucket_limit)


def test_histogram_buckets_are_tensorflows() -> None:
    """The same values through a plain reading of TensorFlow's histogram.cc."""
    values = [-3.0, -1e-13, 0.0, 1e-12, 1e-12, 0.3, 0.3000001, 7.0, 1e30]
    positive, limit = [], 1.0e-12
    while limit < 1.0e20:
        positive.append(limit)
        limit *= 1.1
    positive.append(sys.float_info.max)
    limits = [-x for x in reversed(positive)] + [0.0] + positive
    counts = [0] * len(limits)
    for value in values:
        counts[next(i for i, limit in enumerate(limits) if limit > value)] += 1
    expected_limits, expected_counts, index = [], [], 0
    while index < len(counts):
        end, number = limits[index], counts[index]
        index += 1
        if number == 0:
            while index < len(counts) and counts[index] == 0:
                end = limits[index]
                index += 1
        expected_limits.append(end)
        expected_counts.append(number)
    histogram = make_histogram(np.array(values))
    assert histogram is not None
    assert expected_limits == histogram.bucket_limits
    assert expected_counts == histogram.bucket_counts


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_histogram_of_nan_or_infinity_is_refused_by_name(tmp_path: Path, bad: float) -> None:
    with EventFileWriter(tmp_path) as writer, pytest.raises(InvalidArgumentError, match=r"logits.*step 3"):
        writer.add_histogram("logits", np.array([1.0, bad]), step=3)
