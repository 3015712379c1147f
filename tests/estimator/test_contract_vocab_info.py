"""How a table moves from an old vocabulary to a new one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import raydnn
from raydnn import EstimatorSpec
from raydnn.estimator import VocabInfo, WarmStartSettings
from raydnn.train import save_checkpoint

OLD_WORDS, NEW_WORDS = ("a", "b", "c"), ("c", "new", "a", "b")
OLD_TABLE = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]


class Table(nn.Module):
    """A weight full of sevens."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, 7.0))


@pytest.fixture
def words(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "old.txt").write_text("".join(f"{word}\n" for word in OLD_WORDS))
    (tmp_path / "new.txt").write_text("".join(f"{word}\n" for word in NEW_WORDS))
    return {"old_vocab": str(tmp_path / "old.txt"), "new_vocab": str(tmp_path / "new.txt")}


def moved(folder: Path, old: Any, shape: tuple[int, ...], info: VocabInfo, **settings: Any) -> Any:
    """The weight of a new model that takes an old one."""

    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=raydnn.get_module("table", lambda: Table(shape)).weight)

    save_checkpoint(str(folder / "old"), {"table/weight": np.array(old, np.float32)}, 1)
    infos = {"table/weight": info}
    warm_start_from = WarmStartSettings(str(folder / "old"), var_name_to_vocab_info=infos, **settings)
    estimator = raydnn.Estimator(model_fn, folder / "new", warm_start_from=warm_start_from)
    (table,) = estimator.predict(lambda: iter([{"x": np.zeros(1)}]), yield_single_examples=False)
    return table.tolist()


def nines(shape: Any, dtype: Any = "float32") -> Any:
    return np.full(shape, 9, dtype)


@pytest.mark.parametrize("vars_to_warm_start", [".*", ["table"], None])
def test_rows_follow_their_words_and_new_words_are_zeros(
    tmp_path: Path, words: dict[str, str], vars_to_warm_start: Any
) -> None:
    info = VocabInfo(new_vocab_size=4, num_oov_buckets=0, **words)
    expected = [[3, 30], [0, 0], [1, 10], [2, 20]]
    assert moved(tmp_path, OLD_TABLE, (4, 2), info, vars_to_warm_start=vars_to_warm_start) == expected


def test_new_words_and_buckets_are_initialised_and_old_buckets_forgotten(tmp_path: Path, words: dict[str, str]) -> None:
    info = VocabInfo(new_vocab_size=4, num_oov_buckets=2, backup_initializer=nines, **words)
    old_with_buckets = [*OLD_TABLE, [4.0, 40.0], [5.0, 50.0]]
    expected = [[3, 30], [9, 9], [1, 10], [2, 20], [9, 9], [9, 9]]
    assert moved(tmp_path, old_with_buckets, (6, 2), info) == expected


@pytest.mark.parametrize(
    ("old_vocab_size", "expected"),
    [(1, [[0], [0], [1]]), (2, [[0], [0], [1]]), (3, [[3], [0], [1]]), (-1, [[3], [0], [1]])],
)
def test_only_the_first_old_lines_count_if_told_so(
    tmp_path: Path, words: dict[str, str], old_vocab_size: int, expected: list[list[float]]
) -> None:
    info = VocabInfo(new_vocab_size=3, num_oov_buckets=0, old_vocab_size=old_vocab_size, **words)
    assert moved(tmp_path, [[1], [2], [3]], (3, 1), info) == expected


def test_only_the_first_new_lines_count(tmp_path: Path, words: dict[str, str]) -> None:
    info = VocabInfo(new_vocab_size=2, num_oov_buckets=1, **words)
    assert moved(tmp_path, OLD_TABLE, (3, 2), info) == [[3, 30], [0, 0], [0, 0]]


def test_columns_follow_their_words(tmp_path: Path, words: dict[str, str]) -> None:
    info = VocabInfo(new_vocab_size=4, num_oov_buckets=1, axis=1, backup_initializer=nines, **words)
    old = np.transpose(OLD_TABLE)
    assert moved(tmp_path, old, (2, 5), info) == [[3, 9, 1, 2, 9], [30, 9, 10, 20, 9]]


def test_the_table_may_have_had_another_name(tmp_path: Path, words: dict[str, str]) -> None:
    save_checkpoint(str(tmp_path / "old"), {"earlier": np.array(OLD_TABLE, np.float32)}, 1)
    settings = WarmStartSettings(
        str(tmp_path / "old"),
        var_name_to_vocab_info={"table/weight": VocabInfo(new_vocab_size=1, num_oov_buckets=0, **words)},
        var_name_to_prev_var_name={"table/weight": "earlier"},
    )

    def model_fn(features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=raydnn.get_module("table", lambda: Table((1, 2))).weight)

    estimator = raydnn.Estimator(model_fn, tmp_path / "new", warm_start_from=settings)
    assert next(estimator.predict(lambda: iter([{"x": np.zeros(1)}]))).tolist() == [3, 30]


@pytest.mark.parametrize(
    ("old", "shape", "axis"),
    [
        (OLD_TABLE, (3, 2), 0),
        (OLD_TABLE, (5, 2), 0),
        (OLD_TABLE, (4, 3), 0),
        (OLD_TABLE, (4, 2), 1),
        ([1, 2, 3], (4,), 0),
    ],
    ids=["too few rows", "too many rows", "other columns", "other axis", "one axis"],
)
def test_a_table_that_does_not_fit_its_vocabularies_is_refused(
    tmp_path: Path, words: dict[str, str], old: Any, shape: tuple[int, ...], axis: int
) -> None:
    info = VocabInfo(new_vocab_size=4, num_oov_buckets=0, axis=axis, **words)
    with pytest.raises(ValueError, match="'table/weight' has shape"):
        moved(tmp_path, old, shape, info)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"axis": 2}, ValueError, "axis must be 0 or 1"),
        ({"axis": -1}, ValueError, "axis must be 0 or 1"),
        ({"backup_initializer": 0.5}, TypeError, "backup_initializer"),
        ({"backup_initializer": "zeros"}, TypeError, "backup_initializer"),
    ],
)
def test_what_is_refused_when_it_is_made(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        VocabInfo("new", 1, 0, "old", **arguments)
