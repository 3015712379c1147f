"""Vocabulary files travel with an export."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raydnn
from raydnn import errors, export
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import (
    categorical_column_with_vocabulary_file,
    crossed_column,
    embedding_column,
    indicator_column,
    make_parse_example_spec,
    shared_embedding_columns,
    weighted_categorical_column,
)

WORDS = ["a", "b", "zwölf", "日本"]
FEATURES = {"word": np.array(["b", "日本", "?", ""]), "other": np.array(["x", "y", "x", "y"])}
WEIGHTED = {**FEATURES, "word": np.array(["b", "日本", "?", "a"]), "w": np.array([1, 2, 3, 4], np.float32)}


def vocabulary(folder: Path, name: str = "words.txt", words: list[str] = WORDS) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\r\n".join(words))
    return str(folder / name)


def column_of(path: str, key: str = "word", **arguments: Any) -> Any:
    return categorical_column_with_vocabulary_file(key, path, **arguments)


def trained(columns: list[Any], model_dir: Path, features: dict[str, Any] = FEATURES) -> raydnn.DNNClassifier:
    classifier = raydnn.DNNClassifier([3], columns, model_dir=model_dir, config=raydnn.RunConfig(tf_random_seed=1))
    return classifier.train(lambda: (features, np.array([0, 1, 1, 0])), steps=2)  # type: ignore[return-value]


def exported(classifier: raydnn.DNNClassifier, columns: list[Any], base: Path) -> Path:
    receiver_fn = build_raw_serving_input_receiver_fn(make_parse_example_spec(columns))
    return Path(classifier.export_saved_model(base, receiver_fn).decode())


def assert_predicts_as(classifier: raydnn.DNNClassifier, export_dir: Path, features: dict[str, Any]) -> None:
    (expected,) = classifier.predict(lambda: iter([features]), yield_single_examples=False)
    found = export.load(export_dir).predict(features)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-6)


@pytest.mark.parametrize(
    ("wrap", "features"),
    [
        (lambda path: [indicator_column(column_of(path))], FEATURES),
        (lambda path: [embedding_column(column_of(path, num_oov_buckets=3), 2)], FEATURES),
        (lambda path: [embedding_column(column_of(path, vocabulary_size=2, default_value=1), 2)], FEATURES),
        (lambda path: [indicator_column(crossed_column([column_of(path), "other"], 9))], FEATURES),
        (
            lambda path: [
                indicator_column(
                    crossed_column([crossed_column([column_of(path, num_oov_buckets=1), "w"], 2), "other"], 9)
                )
            ],
            WEIGHTED,
        ),
        (lambda path: [indicator_column(weighted_categorical_column(column_of(path), "w"))], WEIGHTED),
        (lambda path: shared_embedding_columns([column_of(path), column_of(path, "other")], 2), FEATURES),
    ],
)
def test_an_export_that_was_moved_predicts_the_same_without_the_files(
    wrap: Callable[[str], list[Any]], features: dict[str, Any], tmp_path: Path
) -> None:
    path = vocabulary(tmp_path / "vocabularies")
    columns = wrap(path)
    if "w" not in features:
        features = {**features, "w": np.array(["p", "q", "p", "q"])}
    classifier = trained(columns, tmp_path / "model", features)
    export_dir = exported(classifier, columns, tmp_path / "exports")
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    shutil.move(export_dir, moved)
    (expected,) = classifier.predict(lambda: iter([features]), yield_single_examples=False)
    shutil.rmtree(tmp_path / "vocabularies")
    asked = {name: features[name] for name in make_parse_example_spec(columns)}
    found = export.load(moved).predict(asked)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-6)


def test_the_file_lies_unchanged_in_assets_and_the_manifest_names_it_without_its_old_place(tmp_path: Path) -> None:
    path = vocabulary(tmp_path / "vocabularies")
    columns = [indicator_column(column_of(path))]
    export_dir = exported(trained(columns, tmp_path / "model"), columns, tmp_path / "exports")
    assert (export_dir / "assets" / "words.txt").read_bytes() == Path(path).read_bytes()
    manifest = (export_dir / "model.json").read_text()
    assert str(tmp_path) not in manifest
    assert (
        json.loads(manifest)["model"]["classifier"]["columns"][0]["categorical_column"]["vocabulary_file"]
        == "assets/words.txt"
    )


def test_files_of_one_name_and_different_words_do_not_overwrite_each_other(tmp_path: Path) -> None:
    first = vocabulary(tmp_path / "first")
    second = vocabulary(tmp_path / "second", words=["y", "x"])
    columns = [indicator_column(column_of(first)), indicator_column(column_of(second, "other"))]
    classifier = trained(columns, tmp_path / "model")
    export_dir = exported(classifier, columns, tmp_path / "exports")
    assert len(list((export_dir / "assets").iterdir())) == 2
    assert_predicts_as(classifier, export_dir, FEATURES)


def test_one_file_of_several_columns_is_copied_once(tmp_path: Path) -> None:
    path = vocabulary(tmp_path / "vocabularies")
    columns = [indicator_column(column_of(path)), embedding_column(column_of(path, "other"), 2)]
    classifier = trained(columns, tmp_path / "model")
    export_dir = exported(classifier, columns, tmp_path / "exports")
    assert [file.name for file in (export_dir / "assets").iterdir()] == ["words.txt"]
    assert_predicts_as(classifier, export_dir, FEATURES)


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_a_damaged_vocabulary_is_found_when_the_export_is_loaded(damage: str, tmp_path: Path) -> None:
    columns = [indicator_column(column_of(vocabulary(tmp_path / "vocabularies")))]
    export_dir = exported(trained(columns, tmp_path / "model"), columns, tmp_path / "exports")
    asset = export_dir / "assets" / "words.txt"
    if damage == "changed":
        asset.write_text("b\na\n")
    else:
        asset.unlink()
    with pytest.raises((errors.DataLossError, FileNotFoundError), match=r"words\.txt"):
        export.load(export_dir)


def test_an_export_without_vocabulary_files_has_no_assets(tmp_path: Path) -> None:
    columns = [indicator_column(crossed_column(["word", "other"], 5))]
    export_dir = exported(trained(columns, tmp_path / "model"), columns, tmp_path / "exports")
    assert not (export_dir / "assets").exists()
