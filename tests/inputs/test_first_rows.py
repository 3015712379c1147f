"""Warnings about the first rows of training, and silence where columns are sound."""

import tracemalloc
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fake_data import fake_columns, fake_features

import raydnn
from raydnn import feature_column as fc
from raydnn.feature_column.encoder import Encoder, input_layer_columns
from raydnn.feature_column.soundness import words_in
from raydnn.inputs import first_rows
from raydnn.inputs.arrays import features_to_arrow
from raydnn.inputs.batch import Batch
from raydnn.inputs.first_rows import LEAST_ROWS, MOST_BATCHES, FirstRows
from raydnn.inputs.plan import Cursor

ROWS = 2000


def numbers(mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    return np.random.default_rng(1).normal(mean, std, ROWS).astype(np.float32)


def words(count: int) -> list[str]:
    return [f"w{place % count}" for place in range(ROWS)]


def look_at(encoder: Encoder, rows: pa.RecordBatch, batch_size: int = ROWS) -> None:
    """Warn of what encoded rows tell."""
    sizes = [min(batch_size, rows.num_rows - start) for start in range(0, rows.num_rows, batch_size)]
    parts = [rows.slice(place * batch_size, size) for place, size in enumerate(sizes)]
    batches = ([Batch(None, None, part.num_rows, part.num_rows, part)] for part in parts)
    assert len(list(FirstRows(encoder, uuid.uuid4().hex).watch(batches))) == len(parts)


def warnings_of(caplog: pytest.LogCaptureFixture, column: Any, values: Any, **more: Any) -> list[str]:
    """What is said of a column of rows."""
    encoder = Encoder(input_layer_columns([column]))
    rows = encoder.encode(features_to_arrow({"x": values, **more}))
    look_at(encoder, rows)
    return caplog.messages


def vocabulary(size: int, **arguments: Any) -> Any:
    return fc.indicator_column(
        fc.categorical_column_with_vocabulary_list("x", [f"w{place}" for place in range(size)], **arguments)
    )


def hashed(buckets: int) -> Any:
    return fc.embedding_column(fc.categorical_column_with_hash_bucket("x", buckets), 2)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (fc.numeric_column("x"), numbers()),
        (fc.numeric_column("x"), numbers(-900, 900)),
        (fc.numeric_column("x", normalizer_fn=fc.normalizers.Standardize(1e6, 1e5)), numbers(1e6, 1e5)),
        (fc.numeric_column("x", normalizer_fn=lambda x: x * float("nan")), numbers()),
        (fc.bucketized_column(fc.numeric_column("x"), [0.0]), numbers(1e6)),
        (vocabulary(100), words(104)),
        (vocabulary(10, num_oov_buckets=1), words(100)),
        (vocabulary(10, default_value=3), words(100)),
        (vocabulary(10), ["" if place % 3 else "w1" for place in range(ROWS)]),
        (vocabulary(10), [None] * ROWS),
        (hashed(256), words(100)),
        (hashed(1000), words(900)),
    ],
)
def test_sound_columns_are_nothing_to_tell(caplog: pytest.LogCaptureFixture, column: Any, values: Any) -> None:
    assert warnings_of(caplog, column, values) == []


@pytest.mark.parametrize(("mean", "std"), [(1e5, 2e4), (-5000, 1), (0, 2000)])
def test_numbers_that_are_off_by_orders_of_magnitude(caplog: pytest.LogCaptureFixture, mean: float, std: float) -> None:
    (text,) = warnings_of(caplog, fc.numeric_column("x"), numbers(mean, std))
    assert text.startswith("column 'x': it has mean ")
    assert "where it enters the network, in the first 2,000 rows; give it normalizer_fn=Standardize(" in text


def test_a_normalizer_that_does_not_fit_is_named(caplog: pytest.LogCaptureFixture) -> None:
    column = fc.numeric_column("x", normalizer_fn=fc.normalizers.Standardize(0, 0.001))
    (text,) = warnings_of(caplog, column, numbers(0, 2))
    assert "its normalizer_fn does not fit the data" in text


def test_numbers_that_are_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    (text,) = warnings_of(caplog, fc.numeric_column("x", 2), np.full((ROWS, 2), 7))
    assert text == "column 'x': it is 7 in all of the first 2,000 rows; leave the feature out"


def test_the_numbers_of_each_column_are_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    columns = [fc.numeric_column("a", 3), fc.bucketized_column(fc.numeric_column("b"), [0.0]), fc.numeric_column("c")]
    encoder = Encoder(input_layer_columns(columns))
    features = {"a": np.stack([numbers()] * 3, 1), "b": numbers(), "c": numbers(1e4)}
    look_at(encoder, encoder.encode(features_to_arrow(features)))
    (text,) = caplog.messages
    assert text.startswith("column 'c': it has mean 1e+04 and")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (words(20), "25 % of the values in the first rows (2,000)"),
        # Missing values are no missed ones.
        (["", "w0", None, "w99"] * (ROWS // 4), "50 % of the values in the first rows (1,000)"),
        ([["w1", "w99", "w2"], [], None, ["w3"]] * (ROWS // 4), "25 % of the values in the first rows (2,000)"),
    ],
)
def test_a_vocabulary_that_lacks_words(caplog: pytest.LogCaptureFixture, values: Any, told: str) -> None:
    (text,) = warnings_of(caplog, vocabulary(15), values)
    assert text == (
        f"column 'x': the vocabulary lacks {told}, and nothing is learned of them; add words, give num_oov_buckets, or "
        "hash instead"
    )


def test_a_weighted_vocabulary_that_lacks_words(caplog: pytest.LogCaptureFixture) -> None:
    inner = fc.categorical_column_with_vocabulary_list("x", ["w0", "w1"])
    column = fc.indicator_column(fc.weighted_categorical_column(inner, "w"))
    values = ["", "w0", "w1", "w2"] * (ROWS // 4)
    (text,) = warnings_of(caplog, column, values, w=[0.0, 1.0, 1.0, 1.0] * (ROWS // 4))
    assert text.startswith("column 'x_weighted_by_w': the vocabulary lacks 33 % of the values in the first rows (1,5")


@pytest.mark.parametrize(("buckets", "count"), [(100, 400), (100, 130), (2, 5)])
def test_buckets_that_many_words_share(caplog: pytest.LogCaptureFixture, buckets: int, count: int) -> None:
    (text,) = warnings_of(caplog, hashed(buckets), words(count))
    assert text.startswith("column 'x': about ")
    assert f" values share one of {buckets:,} buckets with another, as far as the first rows tell; give it " in text


def batches(
    encoder: Encoder, count: int, rows: int = 100, per_epoch: int | None = None, together: int = 1
) -> Iterator[list[Batch]]:
    """Batches whose numbers get larger and larger, over and over again if epochs have so many."""
    made: list[Batch] = []
    for place in range(count):
        x = np.full(rows, (place if per_epoch is None else place % per_epoch) * 1000, np.float32)
        prepared = encoder.encode(features_to_arrow({"x": x}))
        epoch, batch = (0, place) if per_epoch is None else divmod(place, per_epoch)
        made.append(Batch(None, None, rows, rows, prepared, cursor=Cursor(epoch, batch + 1, "")))
        if len(made) == together or place == count - 1:
            yield made
            made = []


ENCODER = Encoder(input_layer_columns([fc.numeric_column("x")]))


@pytest.mark.parametrize("together", [1, 8])
@pytest.mark.parametrize(
    ("count", "per_epoch", "expected"),
    [(10, None, "first 1,000 rows"), (30, 10, "first 1,000 rows"), (MOST_BATCHES + 50, None, "first 20,000 rows")],
)
def test_batches_pass_through_and_the_first_ones_are_looked_at(
    caplog: pytest.LogCaptureFixture, count: int, per_epoch: int | None, expected: str, together: int
) -> None:
    made = batches(ENCODER, count, per_epoch=per_epoch, together=together)
    assert sum(map(len, FirstRows(ENCODER, uuid.uuid4().hex).watch(made))) == count
    (text,) = caplog.messages
    assert expected in text


def test_what_was_seen_is_looked_at_when_nobody_wants_more(caplog: pytest.LogCaptureFixture) -> None:
    watched = FirstRows(ENCODER, uuid.uuid4().hex).watch(batches(ENCODER, 100))
    for _ in range(LEAST_ROWS // 100):
        next(watched)
    watched.close()  # type: ignore[attr-defined]
    assert f"first {LEAST_ROWS:,} rows" in caplog.text


def test_few_rows_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert len(list(FirstRows(ENCODER, "few").watch(batches(ENCODER, 4)))) == 4
    assert caplog.messages == []


def test_of_wide_rows_as_many_are_seen_as_of_others(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder(input_layer_columns([fc.numeric_column("sound", 1000), fc.numeric_column("x")]))
    rows = encoder.encode(features_to_arrow({"sound": np.stack([numbers()] * 1000, 1), "x": numbers(1e5)}))
    look_at(encoder, rows, batch_size=100)
    (text,) = caplog.messages
    assert "in the first 2,000 rows; " in text


@pytest.mark.parametrize("batch_size", [ROWS, 300, 1])
def test_batches_add_up_to_what_their_rows_tell_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(first_rows, "MOST_BATCHES", ROWS)
    tags = fc.indicator_column(fc.categorical_column_with_vocabulary_list("tags", ["w1", "w2"]))
    columns = [fc.numeric_column("far", 2), tags, hashed(100)]
    encoder = Encoder(input_layer_columns(columns))
    # Rows that are in order: no part is like the others.
    far = np.sort(np.random.default_rng(1).normal([1e7, 1.0003e7], 1000, (ROWS, 2)), 0).astype(np.float32)
    given = {"far": far, "tags": [["w1", "w9", "w2"], [], ["w3"], None] * (ROWS // 4), "x": words(130)}
    look_at(encoder, encoder.encode(features_to_arrow(given)), batch_size)
    mean, std = far.mean(dtype=np.float64), far.std(dtype=np.float64)
    used = len(set(encoder.encode(features_to_arrow(given)).column("ids/1").to_pylist()))
    told = {text.partition(": ")[0]: text for text in caplog.messages}
    assert f"give it normalizer_fn=Standardize({mean:.6g}, {std:.6g})" in told["column 'far'"]
    assert "the vocabulary lacks 50 % of the values in the first rows (2,000)" in told["column 'tags'"]
    assert f"of {words_in(used, 100)} values share one of 100 buckets with another" in told["column 'x'"]
    assert len(told) == 3


def test_a_look_leaves_no_memory_behind() -> None:
    encoder = Encoder(input_layer_columns([hashed(1 << 20), fc.numeric_column("n")]))
    rows = encoder.encode(features_to_arrow({"x": words(ROWS), "n": numbers()}))
    batches = ([Batch(None, None, ROWS, ROWS, rows)] for _ in range(MOST_BATCHES + 2))
    tracemalloc.start()
    try:
        watched = FirstRows(encoder, uuid.uuid4().hex).watch(batches)
        before = pa.total_allocated_bytes()
        next(watched)
        assert tracemalloc.get_traced_memory()[0] > 1 << 20
        assert pa.total_allocated_bytes() == before
        for _ in range(MOST_BATCHES):
            next(watched)
        assert tracemalloc.get_traced_memory()[0] < 1 << 19
    finally:
        tracemalloc.stop()


class TestInTraining:
    @staticmethod
    def train(model_dir: Path, columns: list[Any], features: dict[str, Any], **settings: Any) -> None:
        labels = np.arange(ROWS) % 2
        data = raydnn.inputs.from_numpy(features, labels, batch_size=128, **settings)
        config = raydnn.RunConfig(tf_random_seed=1)
        raydnn.DNNClassifier([2], columns, model_dir=model_dir, config=config).train(lambda: data)

    def test_each_column_is_warned_of_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        columns = [fc.numeric_column("money"), vocabulary(5), fc.numeric_column("sound")]
        features = {"money": numbers(1e6, 1e5), "x": words(20), "sound": numbers()}
        for _ in range(2):
            self.train(tmp_path, columns, features, num_epochs=2, shuffle=True)
        told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert [text.partition(":")[0] for text in told] == ["column 'money'", "column 'x'"]

    def test_sound_data_train_without_a_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        tags = fc.embedding_column(fc.categorical_column_with_hash_bucket("tags", 64), 2)
        columns = [column for column in fake_columns() if "tags" not in column.name]
        self.train(tmp_path, [*columns, tags], fake_features(ROWS))
        assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_unknown_words_are_marked_in_encoded_rows() -> None:
    encoder = Encoder(input_layer_columns([vocabulary(2)]))
    encoded = encoder.encode(pa.RecordBatch.from_pydict({"x": ["w1", "?", "", None, "w0"]}))
    assert encoded.column("ids/0").to_pylist() == [1, -2, -1, -1, 0]
