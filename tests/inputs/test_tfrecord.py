"""TFRecord files: records, checksums, compression, and training from them."""

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fake_examples import example, framed, write_records

import raydnn
from raydnn import errors, inputs
from raydnn.estimator import classifier_parse_example_spec
from raydnn.feature_column import (
    VarLenFeature,
    categorical_column_with_hash_bucket,
    categorical_column_with_vocabulary_list,
    embedding_column,
    indicator_column,
    numeric_column,
)
from raydnn.inputs.tfrecord import BLOCK_RECORDS, TFRecordFragments, masked_crc32c, read_records

RECORDS = [b"first", b"", b"\x00" * 1000, "zwölf".encode()]
SPEC = {"n": VarLenFeature("int64")}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "GZIP": gzip.compress, "ZLIB": zlib.compress}
EVERY = pytest.mark.parametrize("compression", COMPRESS)


def written(folder: Path, content: bytes, compression: str = "") -> str:
    path = folder / "data.tfrecord"
    path.write_bytes(COMPRESS[compression](content))
    return str(path)


def numbers(start: int, stop: int) -> list[bytes]:
    return [example({"n": number}) for number in range(start, stop)]


def values(fragments: TFRecordFragments) -> list[int]:
    rows: list[list[int]] = []
    for place, size in enumerate(fragments.rows):
        rows += fragments.read(place, 0, size, None).column("n").to_pylist()
    return [row[0] for row in rows]


# --- Records


def test_the_checksum_is_that_of_the_format() -> None:
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720).
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


@EVERY
def test_records_are_read_in_order(compression: str, tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(map(framed, RECORDS)), compression)
    assert list(read_records(path, compression)) == RECORDS


@EVERY
def test_an_empty_file_has_no_records(compression: str, tmp_path: Path) -> None:
    path = written(tmp_path, b"", compression)
    assert list(read_records(path, compression)) == []
    assert TFRecordFragments.open(path, SPEC, compression).rows == ()


@EVERY
def test_a_damaged_length_is_found_when_the_file_is_opened(compression: str, tmp_path: Path) -> None:
    good, bad = framed(numbers(0, 1)[0]), bytearray(framed(numbers(1, 2)[0]))
    bad[0] ^= 1
    path = written(tmp_path, good + bytes(bad), compression)
    message = f"the length at byte {len(good)} does not match its checksum"
    with pytest.raises(errors.DataLossError, match=message):
        TFRecordFragments.open(path, SPEC, compression)
    with pytest.raises(errors.DataLossError, match=message):
        list(read_records(path, compression))


@EVERY
@pytest.mark.parametrize("place", [12, -5, -1])
def test_damaged_bytes_are_found_when_they_are_read(compression: str, place: int, tmp_path: Path) -> None:
    good, bad = framed(numbers(0, 1)[0]), bytearray(framed(numbers(1, 2)[0]))
    bad[place] ^= 0x40
    path = written(tmp_path, good + bytes(bad), compression)
    fragments = TFRecordFragments.open(path, SPEC, compression)
    assert fragments.read(0, 0, 1, None).num_rows == 1
    message = f"the record at byte {len(good)} does not match its checksum"
    with pytest.raises(errors.DataLossError, match=message):
        fragments.read(0, 0, 2, None)
    with pytest.raises(errors.DataLossError, match=message):
        list(read_records(path, compression))


@EVERY
@pytest.mark.parametrize("cut", [1, 4, 5, 10, 16, -1, -11])
def test_a_truncated_file_is_refused_when_it_is_opened(compression: str, cut: int, tmp_path: Path) -> None:
    record = framed(b"some bytes")
    end = len(record) - cut if cut > 0 else -cut
    path = written(tmp_path, record + record[:end], compression)
    with pytest.raises(errors.DataLossError, match="is truncated in"):
        TFRecordFragments.open(path, SPEC, compression)
    with pytest.raises(errors.DataLossError, match="is truncated in"):
        list(read_records(path, compression))


@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
@pytest.mark.parametrize("damage", ["cut", "bytes", "other"])
def test_a_damaged_compression_is_data_loss(compression: str, damage: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0).bytes(2000)
    packed = COMPRESS[compression](framed(random) + framed(random))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "bytes":
        packed = packed[:-3] + bytes([packed[-3] ^ 1]) + packed[-2:]
    else:
        packed = framed(random)
    path = tmp_path / "data.tfrecord"
    path.write_bytes(packed)
    with pytest.raises(errors.DataLossError, match=r"data\.tfrecord"):
        list(read_records(str(path), compression))
    with pytest.raises(errors.DataLossError, match=r"data\.tfrecord"):
        TFRecordFragments.open(str(path), SPEC, compression).read(0, 0, 2, None)


@pytest.mark.parametrize("content", [gzip.compress(framed(b"x")), b"some text, and more of it", b"PAR1" + b"\0" * 20])
def test_a_file_of_another_format_is_refused(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(errors.DataLossError, match="is damaged, or no TFRecord file"):
        TFRecordFragments.open(path, SPEC, "")


def test_a_length_beyond_the_file_is_refused_without_reading_that_much(tmp_path: Path) -> None:
    length = struct.pack("<Q", 2**40)
    path = written(tmp_path, length + struct.pack("<I", masked_crc32c(length)) + b"short")
    with pytest.raises(errors.DataLossError, match="is truncated in"):
        TFRecordFragments.open(path, SPEC, "")


# --- Files


@EVERY
def test_any_rows_of_a_file_can_be_read(compression: str, tmp_path: Path) -> None:
    total = BLOCK_RECORDS + 3
    path = written(tmp_path, b"".join(map(framed, numbers(0, total))), compression)
    fragments = TFRecordFragments.open(path, SPEC, compression)
    assert fragments.rows == (BLOCK_RECORDS, 3)
    assert values(fragments) == list(range(total))
    assert fragments.read(1, 1, 3, None).column("n").to_pylist() == [[BLOCK_RECORDS + 1], [BLOCK_RECORDS + 2]]
    assert fragments.read(0, 5, 5, None).num_rows == 0
    assert fragments.read(0, 0, 2, []).schema.names == []


def test_files_and_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_records(folder / "b.tfrecord", numbers(3, 5))
    write_records(folder / "a.tfrecord-00000-of-00001", numbers(0, 3))
    (folder / "notes.txt").write_text("not read")
    assert values(TFRecordFragments.open(str(folder), SPEC, "")) == [0, 1, 2, 3, 4]
    any_name = write_records(tmp_path / "records.bin", numbers(7, 8))
    assert values(TFRecordFragments.open([any_name, str(folder)], SPEC, "")) == [0, 1, 2, 3, 4, 7]


def test_other_data_has_another_fingerprint(tmp_path: Path) -> None:
    first = write_records(tmp_path / "a.tfrecord", numbers(0, 3))
    second = write_records(tmp_path / "b.tfrecord", numbers(0, 4))
    prints = [TFRecordFragments.open(paths, SPEC, "").fingerprint for paths in (first, second, [first, second], first)]
    assert len(set(prints)) == 3
    assert prints[0] == prints[3]


def test_a_missing_file_and_an_empty_folder_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.tfrecord"):
        inputs.from_tfrecord(str(tmp_path / "gone.tfrecord"), SPEC)
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.tfrecord file"):
        inputs.from_tfrecord(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compression_type": "BZIP"}, "compression_type must be one of"),
        ({"compression_type": None}, "compression_type must be one of"),
        ({"label": "y"}, "there is no label column 'y'; the data has n"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"num_epochs": 0}, "num_epochs must be 1 or more"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", numbers(0, 3))
    with pytest.raises(ValueError, match=message):
        inputs.from_tfrecord(path, SPEC, **arguments)


# --- Training


COLUMNS = [
    numeric_column("age", default_value=40.0),
    numeric_column("size", 2),
    embedding_column(categorical_column_with_hash_bucket("tags", 10), 2),
    indicator_column(categorical_column_with_vocabulary_list("city", ["a", "b"], num_oov_buckets=1)),
]
PARSE_SPEC = classifier_parse_example_spec(COLUMNS, "y", weight_column="w")


def rows(num_rows: int = 50) -> list[dict[str, Any]]:
    """age and tags are absent now and then."""
    random = np.random.default_rng(6)
    made = []
    for _ in range(num_rows):
        row: dict[str, Any] = {
            "size": random.normal(size=2).astype(np.float32).tolist(),
            "city": [str(random.choice(["a", "b", "c", ""]))],
            "y": int(random.integers(0, 2)),
            "w": float(np.float32(random.random())),
        }
        if random.random() < 0.8:
            row["age"] = float(np.float32(80 * random.random()))
        if tags := [f"t{tag}" for tag in random.integers(0, 9, random.integers(0, 4))]:
            row["tags"] = tags
        made.append(row)
    return made


def as_table(given: list[dict[str, Any]]) -> pa.Table:
    types = {
        "age": pa.float32(),
        "size": pa.list_(pa.float32(), 2),
        "tags": pa.list_(pa.string()),
        "city": pa.list_(pa.string()),
        "y": pa.int64(),
        "w": pa.float32(),
    }
    return pa.table({name: pa.array([row.get(name) for row in given], kind) for name, kind in types.items()})


def classifier(model_dir: Path) -> raydnn.DNNClassifier:
    config = raydnn.RunConfig(tf_random_seed=5, save_summary_steps=0, log_step_count_steps=None)
    return raydnn.DNNClassifier([4], COLUMNS, model_dir=model_dir, weight_column="w", config=config)


@EVERY
def test_training_from_tfrecord_equals_training_from_arrow(compression: str, tmp_path: Path) -> None:
    reading = {"label": "y", "batch_size": 8, "num_epochs": 2, "shuffle": True, "seed": 3}
    given = rows()
    halves = [given[:20], given[20:]]
    paths = []
    for place, half in enumerate(halves):
        path = tmp_path / f"{place}.tfrecord"
        path.write_bytes(COMPRESS[compression](b"".join(framed(example(row)) for row in half)))
        paths.append(str(path))
    from_files = classifier(tmp_path / "tfrecord")
    # The order of a shuffle depends on the files, so the table is cut like them.
    for place in range(len(paths)):
        from_files.train(
            lambda place=place: inputs.from_tfrecord(paths[place], PARSE_SPEC, compression_type=compression, **reading)
        )
    from_table = classifier(tmp_path / "arrow")
    for half in halves:
        from_table.train(lambda half=half: inputs.from_arrow(as_table(half), **reading))
    assert from_files.get_variable_value("global_step") == 2 * 3 + 2 * 4
    for name in from_table.get_variable_names():
        np.testing.assert_array_equal(
            from_files.get_variable_value(name), from_table.get_variable_value(name), err_msg=name
        )

    def whole() -> inputs.Dataset:
        return inputs.from_tfrecord(paths, PARSE_SPEC, label="y", compression_type=compression)

    metrics = from_files.evaluate(whole)
    assert metrics == from_table.evaluate(lambda: inputs.from_arrow(as_table(given), label="y"))
    assert len(list(from_files.predict(whole))) == 50


def test_a_damaged_record_stops_training(tmp_path: Path) -> None:
    content = bytearray(b"".join(framed(example(row)) for row in rows()))
    content[-10] ^= 1
    path = written(tmp_path, bytes(content))
    with pytest.raises(errors.DataLossError, match="is damaged"):
        classifier(tmp_path / "model").train(lambda: inputs.from_tfrecord(path, PARSE_SPEC, label="y"))


def test_a_file_without_records_cannot_be_trained_on(tmp_path: Path) -> None:
    path = written(tmp_path, b"")
    with pytest.raises(ValueError, match="has no rows"):
        classifier(tmp_path / "model").train(lambda: inputs.from_tfrecord(path, PARSE_SPEC, label="y"))
