"""Scored rows, against what evaluation says of them."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from raydnn import config
from raydnn.model.heads import classification_head
from raydnn.report.scored import Scorer


def scorer(run: config.Run) -> Scorer:
    estimator = run.estimator()
    head = classification_head(run.model.n_classes, run.model.label_vocabulary, "weighted_sum")
    return Scorer(estimator, head, "clicked", run.data.weight, str(estimator.latest_checkpoint()))


def test_losses_and_probabilities_are_those_of_an_evaluation(run: config.Run) -> None:
    rows = pq.read_table(run.eval_input().paths[0])
    scored = scorer(run).score(rows)
    metrics = run.estimator().evaluate(run.eval_input(), name="same")
    assert scored.mean(scored.losses) == pytest.approx(metrics["average_loss"], rel=1e-5)
    assert scored.mean(scored.right) == pytest.approx(metrics["accuracy"], rel=1e-6)
    assert scored.mean(scored.scores) == pytest.approx(metrics["prediction/mean"], rel=1e-5)
    assert scored.classes == ("0", "1")
    assert scored.label_of(0) == str(rows["clicked"][0])


def test_negative_weights_count_nothing_and_are_counted(run: config.Run) -> None:
    rows = pq.read_table(run.eval_input().paths[0])
    weights = np.where(np.arange(len(rows)) < 3, -1.0, 2.0).astype(np.float32)
    scored = dataclasses.replace(scorer(run), weight="w").score(rows.append_column("w", [weights]))
    assert scored.negative_weights == 3
    assert scored.weights.tolist() == [0.0] * 3 + [2.0] * (len(rows) - 3)


def test_rows_without_a_label_are_refused(run: config.Run) -> None:
    rows = pq.read_table(run.eval_input().paths[0]).drop_columns(["clicked"])
    with pytest.raises(ValueError, match="no label column 'clicked'"):
        scorer(run).score(rows)
