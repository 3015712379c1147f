"""What an export takes its weights from, and where it goes."""

from pathlib import Path

import numpy as np
import pytest
from fake_data import fake_classifier, fake_columns, fake_features, fake_input_fn

import raydnn
from raydnn import errors
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec

RECEIVER_FN = build_raw_serving_input_receiver_fn(make_parse_example_spec(fake_columns()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> raydnn.DNNClassifier:
    return fake_classifier(tmp_path_factory.mktemp("trained")).train(fake_input_fn(2))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["", "/model.ckpt-2"], ids=["folder", "checkpoint"])
def test_without_a_checkpoint_the_model_of_the_warm_start_is_exported(
    trained: raydnn.DNNClassifier, tmp_path: Path, name: str
) -> None:
    new = fake_classifier(tmp_path / "new", warm_start_from=trained.model_dir + name)
    model = raydnn.export.load(new.export_saved_model(tmp_path / "export", RECEIVER_FN))
    assert model.manifest.global_step == 2
    expected = [row["logits"] for row in trained.predict(lambda: iter([fake_features(3)]))]
    np.testing.assert_allclose(model.predict(fake_features(3))["logits"], expected, rtol=1e-5)


def test_with_a_checkpoint_a_warm_start_makes_no_difference(trained: raydnn.DNNClassifier, tmp_path: Path) -> None:
    new = fake_classifier(tmp_path / "new", warm_start_from=trained.model_dir).train(fake_input_fn(1))
    model = raydnn.export.load(new.export_saved_model(tmp_path / "export", RECEIVER_FN))
    assert model.manifest.global_step == 1


def test_a_warm_start_from_nowhere_cannot_be_exported(tmp_path: Path) -> None:
    new = fake_classifier(tmp_path / "new", warm_start_from=str(tmp_path / "missing"))
    with pytest.raises(errors.NotFoundError, match="missing"):
        new.export_saved_model(tmp_path / "export", RECEIVER_FN)


@pytest.mark.parametrize("kind", [str, Path])
def test_the_path_comes_back_as_bytes(trained: raydnn.DNNClassifier, tmp_path: Path, kind: type) -> None:
    path = trained.export_saved_model(kind(tmp_path), RECEIVER_FN)
    assert isinstance(path, bytes)
    assert path.decode().startswith(f"{tmp_path}/")
    assert [folder.name for folder in tmp_path.iterdir()] == [Path(path.decode()).name]


def test_as_text_is_taken(trained: raydnn.DNNClassifier, tmp_path: Path) -> None:
    assert raydnn.export.load(trained.export_saved_model(tmp_path, RECEIVER_FN, as_text=True))
