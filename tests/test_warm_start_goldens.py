"""What TensorFlow takes from an earlier model, and how training goes on from there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_case import GOLDENS, LossRecorder, as_arrays, as_batch, make_columns

import raydnn

NAMES = sorted(path.stem for path in (GOLDENS / "warm_start").glob("*.json"))


def classifier(model: dict[str, Any], files: Path, model_dir: Path, **arguments: Any) -> raydnn.DNNClassifier:
    columns = [column for spec in model["feature_columns"] for column in make_columns(spec, files)]
    config = raydnn.RunConfig(tf_random_seed=0)
    return raydnn.DNNClassifier(
        feature_columns=columns, model_dir=model_dir, config=config, **model["classifier"], **arguments
    )


def settings(spec: Any, previous: Path, files: Path) -> Any:
    if spec == "model_dir":
        return str(previous)
    arguments = dict(spec)
    vocabularies = {}
    for name, info in arguments.pop("var_name_to_vocab_info", {}).items():
        info = dict(info)
        for key in ("new_vocab", "old_vocab"):
            info[key] = str(files / info[key])
        if "backup_initializer" in info:
            initializer = dict(info["backup_initializer"])
            assert initializer.pop("name") == "random_uniform"
            info["backup_initializer"] = raydnn.initializers.RandomUniform(**initializer)
        vocabularies[name] = raydnn.estimator.VocabInfo(**info)
    return raydnn.estimator.WarmStartSettings(str(previous), var_name_to_vocab_info=vocabularies, **arguments)


@pytest.mark.parametrize("name", NAMES)
def test_warm_start_takes_what_tensorflow_takes(name: str, tmp_path: Path):
    case = json.loads((GOLDENS / "warm_start" / f"{name}.json").read_text())
    files = tmp_path / "files"
    files.mkdir()
    for file, lines in (case.get("files") or {}).items():
        (files / file).write_text("".join(f"{line}\n" for line in lines))
    previous = as_arrays(case["previous"]["variables"])
    raydnn.train.save_checkpoint(str(tmp_path / "previous"), previous, int(previous["global_step"]))

    warm_start_from = settings(case["warm_start_from"], tmp_path / "previous", files)
    estimator = classifier(case, files, tmp_path / "model", warm_start_from=warm_start_from)
    batches = [as_batch(batch) for batch in case["batches"]]
    # Without a checkpoint hook nothing is kept: this call shows the values before the first step.
    values = {}

    class InitialValues(raydnn.train.SessionRunHook):
        def after_create_session(self, session, coord):
            values.update({name: value.copy() for name, value in session.checkpoint_values().items()})
            values["global_step"] = session.global_step

    estimator.train(lambda: iter(batches[:1]), hooks=[InitialValues()])
    expected = as_arrays(case["initial_variables"])
    assert set(values) == set(expected)
    for variable in (*case["taken"], *case["remapped"]):
        np.testing.assert_allclose(values[variable], expected[variable], rtol=1e-6, err_msg=variable)
    for variable in case["fresh"]:
        if variable in previous and "Adagrad" not in variable and "bias" not in variable:
            assert not np.array_equal(values[variable], previous[variable]), variable


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_from_a_warm_start_as_in_tensorflow(name: str, tmp_path: Path):
    case = json.loads((GOLDENS / "warm_start" / f"{name}.json").read_text())
    for file, lines in (case.get("files") or {}).items():
        (tmp_path / file).write_text("".join(f"{line}\n" for line in lines))
    initial = as_arrays(case["initial_variables"])
    raydnn.train.save_checkpoint(str(tmp_path / "model"), initial, int(initial["global_step"]))
    estimator = classifier(case, tmp_path, tmp_path / "model")
    batches = [as_batch(batch) for batch in case["batches"]]
    recorder = LossRecorder()
    steps = case["train"]["steps"]
    estimator.train(lambda: iter([batches[step % len(batches)] for step in range(steps)]), hooks=[recorder])
    np.testing.assert_allclose(recorder.losses, case["train"]["losses"], rtol=2e-5, atol=2e-6)
    for variable, value in as_arrays(case["train"]["final_variables"]).items():
        np.testing.assert_allclose(estimator.get_variable_value(variable), value, rtol=1e-4, atol=1e-5)
