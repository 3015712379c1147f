"""Making data sets: the same rows from every source, and what is refused at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raydnn.inputs import Dataset, from_arrow, from_numpy, from_pandas, from_parquet

AGES, CITIES, LABELS = [31.0, 52.0, 44.0, 18.0, 27.0], ["a", "b", "a", "c", "b"], [0, 1, 1, 0, 1]
TABLE = pa.table({"age": AGES, "city": CITIES, "clicked": LABELS})
FRAME = pd.DataFrame({"age": AGES, "city": CITIES, "clicked": LABELS}, index=[9, 8, 7, 6, 5])

Maker = Callable[..., Dataset]


def parquet_maker(folder: Path) -> Maker:
    pq.write_table(TABLE, folder / "data.parquet", row_group_size=2)
    return lambda **arguments: from_parquet(str(folder), label="clicked", **arguments)


@pytest.fixture(params=["arrow", "record batch", "numpy", "pandas", "parquet"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    makers: dict[str, Maker] = {
        "arrow": lambda **arguments: from_arrow(TABLE, label="clicked", **arguments),
        "record batch": lambda **arguments: from_arrow(TABLE.to_batches()[0], label="clicked", **arguments),
        "numpy": lambda **arguments: from_numpy(
            {"age": np.array(AGES), "city": np.array(CITIES, object)}, np.array(LABELS), **arguments
        ),
        "pandas": lambda **arguments: from_pandas(FRAME, label="clicked", **arguments),
        "parquet": parquet_maker(tmp_path),
    }
    return makers[request.param]


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    sizes = enumerate(dataset.fragments.rows)
    rows = [row for place, size in sizes for row in dataset.fragments.read(place, 0, size, None).to_pylist()]
    return [{("clicked" if name == dataset.label else name): value for name, value in row.items()} for row in rows]


def test_every_source_gives_the_same_rows(make: Maker) -> None:
    assert rows_of(make()) == TABLE.to_pylist()


def test_every_source_takes_the_same_settings(make: Maker) -> None:
    settings = {"batch_size": 2, "num_epochs": 3, "shuffle": True, "seed": 4, "drop_remainder": True}
    dataset = make(**settings)
    assert {name: getattr(dataset, name) for name in settings} == settings
    assert (dataset.plan.batch_size, dataset.plan.shuffle, dataset.plan.seed) == (2, True, 4)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1),
        ({"batch_size": 2}, 3),
        ({"batch_size": 2, "num_epochs": 4}, 12),
        ({"batch_size": 2, "num_epochs": 4, "drop_remainder": True}, 8),
        ({"batch_size": 2, "num_epochs": None}, None),
    ],
)
def test_the_number_of_batches_is_known_beforehand(settings: dict[str, Any], expected: int | None) -> None:
    assert from_arrow(TABLE, **settings).num_batches == expected


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"batch_size": 0}, "batch_size"), ({"num_epochs": 0}, "num_epochs"), ({"num_epochs": -1}, "num_epochs")],
)
def test_every_source_refuses_bad_settings_by_name(make: Maker, settings: dict[str, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 1 or more"):
        make(**settings)


@pytest.mark.parametrize("make_without", [lambda: from_arrow(TABLE, label="y"), lambda: from_pandas(FRAME, label="y")])
def test_a_label_column_that_is_not_there_is_named_with_those_that_are(make_without: Maker) -> None:
    with pytest.raises(ValueError, match="no label column 'y'; the data has age, city, clicked"):
        make_without()


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="labels have 4 rows, features have 5"):
        from_numpy({"age": np.array(AGES)}, np.zeros(4))


def test_without_a_seed_a_data_set_takes_the_one_of_the_run() -> None:
    assert from_arrow(TABLE, shuffle=True).seed is None
    assert from_arrow(TABLE, shuffle=True).with_seed(3).seed == 3
    assert from_arrow(TABLE, shuffle=True, seed=5).with_seed(3).seed == 5


def test_numpy_integers_are_integers() -> None:
    dataset = from_arrow(TABLE, batch_size=np.int64(2), num_epochs=np.int32(3), seed=np.int64(1))
    assert dataset.num_batches == 3 * dataset.plan.batches_per_epoch
