"""Profiles of files, small ones without Ray."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fake_examples import example, write_records

from raydnn import config
from raydnn.config.profiling import input_of, profile_input
from raydnn.errors import ConfigError

TABLE = pa.table({"x": [1.0, 2.0, None, 4.0], "word": ["a", "b", "", "a"]})


def test_parquet_and_csv_give_the_same_profile(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=3)
    pyarrow.csv.write_csv(TABLE, tmp_path / "a.csv")
    found = [profile_input(input_of(str(tmp_path / name))) for name in ("a.parquet", "a.csv")]
    for profile in found:
        x, word = profile.columns["x"], profile.columns["word"]
        assert (profile.rows, x.missing, x.moments.max, word.sketch.top(1)) == (4, 1, 4, [("a", 2)])


def test_several_files_are_one_profile(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pq.write_table(TABLE, tmp_path / f"{name}.parquet")
    run = config.loads(
        f"data: {{train: ['{tmp_path}/a.parquet', '{tmp_path}/b.parquet'], label: y}}\n"
        "features: {x: numeric}\nmodel: {hidden_units: [2]}"
    )
    assert profile_input(run.train_input()).rows == 8


def test_serialized_examples_are_read_with_the_layout_of_the_run(tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example({"x": float(x), "w": ["a"], "y": 1}) for x in range(3)])
    run = config.loads(
        f"data: {{train: '{path}', label: y}}\nfeatures: {{x: numeric, w: {{hash: 3}}}}\nmodel: {{hidden_units: [2]}}"
    )
    profile = profile_input(run.train_input())
    assert (profile.rows, profile.columns["x"].moments.mean, profile.columns["w"].distinct) == (3, 1, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no file"),
        ("a.parquet", b"no parquet", "cannot be read as parquet"),
        ("a.csv", b"x,y\n1,2\n3\n", "cannot be read as csv: .* Expected 2 columns, got 1"),
        ("empty.csv", b"x,y\n", "has no rows"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as raised:
        profile_input(input_of(str(tmp_path / name)))
    assert name in str(raised.value)


@pytest.mark.parametrize(("path", "message"), [("a.txt", "format cannot be told"), ("a.tfrecord", "do not tell their")])
def test_data_of_an_unknown_layout_is_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        input_of(path)
