"""First runs for some data: they load, they train, and they say why."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn import config
from raydnn.config.checks import findings, vocabulary_words
from raydnn.config.draft import DraftOf, draft
from raydnn.config.profile import profile_rows
from raydnn.errors import ConfigError

ROWS = 200
RANDOM = np.random.default_rng(0)
PLACES = np.arange(ROWS)

NUMBERS = {
    "a": RANDOM.normal(size=ROWS),
    "b": pa.array([None if place % 5 == 0 else float(place) for place in PLACES]),
    "c": np.exp(RANDOM.normal(size=ROWS) * 2),
    "y": PLACES % 2,
}
WORDS = {
    "few": pa.array([["yes", "no: x", "12:30", "'a\"", "# c", "2013-01-01"][place % 6] for place in PLACES]),
    "many": pa.array([f"word {place % 70}" for place in PLACES]),
    "a key: with {signs}": pa.array(["a", ""] * (ROWS // 2)),
    "y": pa.array(["cat", "dog", "no"] * (ROWS // 3) + ["cat", "dog"]),
}
IDS_AND_DATES = {
    "": PLACES,
    "order_id": PLACES * 7919,
    "user_id": RANDOM.integers(0, 60, ROWS),
    "day": pa.array([date(2020, 1, 1 + int(place) % 28) for place in PLACES]),
    "hour": PLACES % 24,
    "weight": RANDOM.random(ROWS),
    "y": PLACES % 4,
}
LISTS = {
    "tags": pa.array([["a", "b"] if place % 2 else ["c"] for place in PLACES]),
    "tag_weights": pa.array([[1.0, 2.0] if place % 2 else [0.5] for place in PLACES]),
    "vector": pa.FixedSizeListArray.from_arrays(pa.array(RANDOM.normal(size=ROWS * 3)), 3),
    "y": PLACES % 3 == 0,
}


def written(tmp_path: Path, columns: dict[str, Any], weight: str | None = None) -> tuple[str, config.Run]:
    table = pa.table(columns)
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    text = draft(DraftOf(str(path), "y", weight), profile_rows(table))
    return text, config.loads(text, {"run.model_dir": str(tmp_path / "model")})


@pytest.mark.parametrize(
    ("columns", "weight", "features"),
    [
        (NUMBERS, None, ["a", "b", "c"]),
        (WORDS, None, ["few", "many", "a key: with {signs}"]),
        (IDS_AND_DATES, "weight", ["user_id", "hour"]),
        (LISTS, None, ["tags", "vector"]),
    ],
    ids=["numbers", "words", "ids and dates", "lists"],
)
def test_a_draft_loads_and_passes_its_check_and_trains(
    tmp_path: Path, columns: dict[str, Any], weight: str | None, features: list[str]
) -> None:
    _, run = written(tmp_path, columns, weight)
    assert list(run.features) == features
    assert run.data.weight == weight
    found = findings(run, profile_rows(pa.table(columns), vocabulary_words(run)), None, 1 << 40)
    assert [finding.key for finding in found] == ["run"], "nothing but the memory is to be told"
    run.estimator().train(run.train_input(), steps=2)


def test_each_column_has_its_line_with_a_reason(tmp_path: Path) -> None:
    text, _ = written(tmp_path, IDS_AND_DATES, "weight")
    lines = text.splitlines()
    assert "  # '' is left out: has no name; if it is a feature, name it in the data" in lines
    assert "  # order_id is left out: 200 values in 200 rows: it tells rows apart and nothing else" in lines
    assert [
        line for line in lines if line.startswith("  # day is left out: is of type date32[day]; make numbers of it")
    ]
    assert [line for line in lines if line.startswith("  user_id: {hash: 128, dtype: int64, embed: ")]
    in_features = lines[lines.index("features:") + 1 : lines.index("model:") - 1]
    assert all("#" in line for line in in_features)


def test_labels_decide_the_classes(tmp_path: Path) -> None:
    assert written(tmp_path, NUMBERS)[1].model.arguments() == {"hidden_units": [64, 32]}
    of_words = written(tmp_path, WORDS)[1].model.arguments()
    assert (of_words["label_vocabulary"], of_words["n_classes"]) == (["cat", "dog", "no"], 3)
    assert written(tmp_path, IDS_AND_DATES)[1].model.n_classes == 4


def test_weights_of_a_list_go_with_it(tmp_path: Path) -> None:
    text, run = written(tmp_path, LISTS)
    assert run.features["tags"].weights == "tag_weights"
    assert "  # tag_weights is left out: weighs the values of 'tags'" in text


def test_rows_are_never_held_out_unasked(tmp_path: Path) -> None:
    table = pa.table(NUMBERS)
    text = draft(DraftOf("rows.parquet", "y"), profile_rows(table))
    assert config.loads(text).data.eval is None
    assert "  # eval: " in text
    assert config.loads(draft(DraftOf("a.csv", "y", eval="b.csv"), profile_rows(table))).data.eval == "b.csv"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, None], "label 'y' is missing in 1 of 2 rows"),
        ([1, 1], "there is nothing to learn"),
        ([-1, 1], "classes are whole numbers from 0"),
        ([0.5, 1.0], "classes are whole numbers from 0"),
        ([0.0, 2.0], "cast it to whole numbers"),
        ([0, 5000], "number the classes from 0"),
        ([[0], [1]], "give one number or word a row"),
        ([*range(2000)] * 4, "2,000 different values in 8,000 rows"),
        ([*range(30)], "30 different values in 30 rows"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: list[Any], message: str) -> None:
    table = pa.table({"x": [float(place % 7) for place in range(len(labels))], "y": pa.array(labels)})
    with pytest.raises(ConfigError, match=message):
        draft(DraftOf("a.csv", "y"), profile_rows(table))


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (DraftOf("a.csv", "Y"), "--label: the data has no column 'Y'; did you mean 'y'"),
        (DraftOf("a.csv", "y", "w"), "--weight: the data has no column 'w'"),
        (DraftOf("a.csv", "y"), "no column is left for a feature: 'x' is constant: 1"),
    ],
)
def test_columns_that_cannot_be_used_are_named(of: DraftOf, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draft(of, profile_rows(pa.table({"x": [1, 1], "y": [0, 1]})))
