"""Importance: what a model gets from its columns."""

import pyarrow.parquet as pq
import pytest

from raydnn import config
from raydnn.feature_column import (
    categorical_column_with_hash_bucket,
    crossed_column,
    embedding_column,
    indicator_column,
    numeric_column,
    weighted_categorical_column,
)
from raydnn.model.heads import classification_head
from raydnn.report.importance import column_groups, importances
from raydnn.report.scored import Scored, Scorer


@pytest.fixture
def scorer(run: config.Run) -> Scorer:
    estimator = run.estimator()
    head = classification_head(2, None, "weighted_sum")
    return Scorer(estimator, head, "clicked", None, str(estimator.latest_checkpoint()))


@pytest.fixture
def rows(run: config.Run, scorer: Scorer) -> Scored:
    return scorer.score(pq.read_table(run.eval_input().paths[0]))


def test_columns_that_decide_matter_and_noise_does_not(scorer: Scorer, rows: Scored) -> None:
    found = importances(scorer, rows, [("age",), ("city",), ("noise",)])
    assert [each.name for each in found] == ["age", "city", "noise"]
    assert found[0].increase > 5 * found[0].spread > 0
    assert abs(found[-1].increase) < 0.1 * found[0].increase


def test_the_same_rows_give_the_same_numbers(scorer: Scorer, rows: Scored) -> None:
    assert importances(scorer, rows, [("age",)]) == importances(scorer, rows, [("age",)])


def test_a_column_that_is_the_same_in_all_rows_changes_nothing(scorer: Scorer, rows: Scored) -> None:
    one_city = rows.table.set_column(2, "city", [["berlin"] * rows.rows])
    assert importances(scorer, scorer.score(one_city), [("city",)])[0].increase == pytest.approx(0, abs=1e-9)


def test_what_is_made_of_a_column_follows_it_and_weights_follow_their_values() -> None:
    word, other = (categorical_column_with_hash_bucket(name, 10) for name in ("word", "other"))
    columns = [
        numeric_column("x"),
        indicator_column(crossed_column(["word", "y"], 10)),
        embedding_column(weighted_categorical_column(word, "amount"), 2),
        embedding_column(other, 2),
    ]
    assert column_groups(columns) == [("amount", "word"), ("other",), ("x",), ("y",)]
