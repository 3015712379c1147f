"""Words outside of vocabularies, ids outside of their range, buckets that are shared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked_runs import profile_of, run_of, told

from raydnn.config.checks.words import few_buckets, ids_in_range, short_vocabularies
from raydnn.errors import ConfigError
from raydnn.feature_column.soundness import colliding_share


def test_a_vocabulary_that_misses_words_is_a_warning() -> None:
    run = run_of({"x": {"vocabulary": ["a", "b"]}})
    found = told(short_vocabularies, run, profile_of(run, x=["a", "b", "c", "", None]))
    text = "the vocabulary lacks 33 % of the values; add words, write num_oov_buckets, or take hash instead"
    assert found == [("warning", "features.x.vocabulary", text)]
    assert told(short_vocabularies, run, profile_of(run, x=["a"] * 96 + ["c"] * 4)) == []


@pytest.mark.parametrize("more", [{"num_oov_buckets": 2}, {"default": 0}])
def test_unknown_words_that_have_a_place_are_only_told(more: dict[str, int]) -> None:
    run = run_of({"x": {"vocabulary": ["a"], **more}})
    ((level, _, _),) = told(short_vocabularies, run, profile_of(run, x=["a", "c"]))
    assert level == "info"


def test_vocabularies_in_files_of_numbers_and_with_weights_are_held_against_the_data_too(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("1\n2\n")
    feature = {"vocabulary": str(tmp_path / "words.txt"), "dtype": "int64", "weights": "w"}
    run = run_of({"x": feature})
    ((_, key, text),) = told(short_vocabularies, run, profile_of(run, x=[1, 2, 3, 4], w=[1.0] * 4))
    assert (key, "lacks 50 %" in text) == ("features.x.vocabulary", True)


def test_a_vocabulary_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    run = run_of({"x": {"vocabulary": str(tmp_path / "none.txt"), "vocabulary_size": 2}})
    with pytest.raises(ConfigError, match="does not exist"):
        profile_of(run, x=["a"])


@pytest.mark.parametrize(
    ("feature", "values", "level"),
    [
        ({"identity": 3, "embed": 2}, [0, 3], "error"),
        ({"identity": 3}, [0, 3], "warning"),
        ({"identity": 3}, [0, -2], "warning"),
        ({"identity": 3, "default": 0, "embed": 2}, [0, 3, -2], None),
        ({"identity": 3, "embed": 2}, [0, 2, -1], None),
    ],
)
def test_ids_outside_of_their_range_are_told(feature: Any, values: list[int], level: str | None) -> None:
    run = run_of({"x": feature})
    found = told(ids_in_range, run, profile_of(run, x=values))
    assert [(each[0], each[1]) for each in found] == ([(level, "features.x.identity")] if level else [])


def test_ids_that_share_an_embedding_are_refused_by_it_too() -> None:
    run = run_of({"x": {"identity": 3}}, shared_embeddings=[{"columns": ["x"], "dimension": 2}])
    assert [level for level, _, _ in told(ids_in_range, run, profile_of(run, x=[5]))] == ["error"]


def test_few_buckets_are_a_warning_with_a_better_number() -> None:
    run = run_of({"x": {"hash": 100}, "ok": {"hash": 1000}})
    words = [f"w{number}" for number in range(200)]
    ((level, key, text),) = told(few_buckets, run, profile_of(run, x=words, ok=words))
    assert (level, key) == ("warning", "features.x.hash")
    assert text == "about 86 % of 200 values share one of 100 buckets with another; write hash: 512 for 32 %"


def test_few_buckets_of_a_cross_are_told() -> None:
    features = {"c": {"cross": ["a", "b_buckets"], "hash": 10}, "b_buckets": {"column": "b", "buckets": [1, 2]}}
    run = run_of(features)
    words = [f"w{number % 20}" for number in range(500)]
    ((level, key, text),) = told(few_buckets, run, profile_of(run, a=words, b=np.arange(500.0)))
    assert (level, key) == ("info", "features.c.hash")
    assert "of up to 60 combinations about 100 %" in text


def test_the_expected_share_of_collisions_is_that_of_random_hashes() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(50):
        buckets = random.integers(0, 128, 100)
        shares.append((np.bincount(buckets)[buckets] > 1).mean())
    assert colliding_share(100, 128) == pytest.approx(np.mean(shares), abs=0.03)
    assert (colliding_share(1, 5), colliding_share(0, 5), colliding_share(2, 1)) == (0, 0, 1)
