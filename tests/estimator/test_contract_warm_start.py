"""From where a warm start takes values, when, and into which variables."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data import fake_classifier, fake_columns, fake_input_fn
from fake_model_fn import LINE_VARIABLES, line_fn, line_input_fn

import raydnn
from raydnn import RunConfig, errors
from raydnn.estimator import VocabInfo, WarmStartSettings
from raydnn.estimator.export import build_raw_serving_input_receiver_fn
from raydnn.feature_column import make_parse_example_spec
from raydnn.train import SessionRunHook, save_checkpoint

WEIGHT, BIAS = LINE_VARIABLES["line/weight"], LINE_VARIABLES["line/bias"]


class StartValues(SessionRunHook):
    """Keeps the values of all variables before the first step."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.values = {name: value.copy() for name, value in session.checkpoint_values().items()}
        self.values["global_step"] = session.global_step


@pytest.fixture
def earlier(tmp_path: Path) -> str:
    save_checkpoint(str(tmp_path / "earlier"), LINE_VARIABLES, 7)
    return str(tmp_path / "earlier")


def start_values(model_dir: Path, warm_start_from: Any) -> dict[str, Any]:
    hook = StartValues()
    estimator = raydnn.Estimator(line_fn(), model_dir, RunConfig(tf_random_seed=1), warm_start_from=warm_start_from)
    estimator.train(line_input_fn(1), hooks=[hook])
    return hook.values


def taken(model_dir: Path, settings: Any) -> set[str]:
    """The variables of the line that have the values of the earlier model."""
    values = start_values(model_dir, settings)
    found = {name for name, value in LINE_VARIABLES.items() if np.array_equal(values[name], value)}
    return found | ({"global_step"} if values["global_step"] == 7 else set())


class TestWhereFrom:
    @pytest.mark.parametrize("name", ["", "/model.ckpt-7"], ids=["folder", "checkpoint"])
    @pytest.mark.parametrize("kind", [str, Path, str.encode, WarmStartSettings])
    def test_a_folder_or_a_checkpoint_in_any_form(self, earlier: str, tmp_path: Path, kind: Any, name: str) -> None:
        assert taken(tmp_path / "new", kind(earlier + name)) == set(LINE_VARIABLES)

    def test_a_checkpoint_that_is_not_the_newest(self, earlier: str, tmp_path: Path) -> None:
        save_checkpoint(earlier, {name: 0 * value for name, value in LINE_VARIABLES.items()}, 9)
        assert taken(tmp_path / "new", f"{earlier}/model.ckpt-7") == set(LINE_VARIABLES)

    def test_an_export(self, tmp_path: Path) -> None:
        first = fake_classifier(tmp_path / "first").train(fake_input_fn(1))
        receiver_fn = build_raw_serving_input_receiver_fn(make_parse_example_spec(fake_columns()))
        path = first.export_saved_model(tmp_path / "export", receiver_fn)
        hook = StartValues()
        fake_classifier(tmp_path / "new", RunConfig(tf_random_seed=2), warm_start_from=path).train(
            fake_input_fn(1), hooks=[hook]
        )
        for name in ("dnn/hiddenlayer_0/kernel", "dnn/logits/kernel"):
            np.testing.assert_array_equal(hook.values[name], first.get_variable_value(name))
        assert hook.values["global_step"] == 0

    @pytest.mark.parametrize("action", ["train", "evaluate", "predict"])
    def test_a_path_without_a_model_is_not_found(self, tmp_path: Path, action: str) -> None:
        estimator = raydnn.Estimator(line_fn(), tmp_path / "new", warm_start_from=str(tmp_path / "missing"))
        with pytest.raises(errors.NotFoundError, match="missing"):
            list(getattr(estimator, action)(line_input_fn(1)))


class TestWhen:
    def test_training_goes_on_from_the_taken_values_at_step_0(self, earlier: str, tmp_path: Path) -> None:
        estimator = raydnn.Estimator(line_fn(), tmp_path / "new", warm_start_from=earlier).train(line_input_fn(2))
        assert estimator.get_variable_value("global_step") == 2
        values = start_values(tmp_path / "again", earlier)
        np.testing.assert_array_equal(values["line/weight"], WEIGHT)
        assert values["global_step"] == 0

    def test_a_checkpoint_in_model_dir_comes_first(self, earlier: str, tmp_path: Path) -> None:
        own = {name: value + 1 for name, value in LINE_VARIABLES.items()}
        save_checkpoint(str(tmp_path / "new"), own, 3)
        values = start_values(tmp_path / "new", earlier)
        assert values["global_step"] == 3
        for name, value in own.items():
            np.testing.assert_array_equal(values[name], value)

    def test_with_a_checkpoint_the_earlier_model_may_be_gone(self, tmp_path: Path) -> None:
        save_checkpoint(str(tmp_path / "new"), LINE_VARIABLES, 3)
        assert start_values(tmp_path / "new", str(tmp_path / "missing"))["global_step"] == 3


class TestWhich:
    @pytest.mark.parametrize(
        ("vars_to_warm_start", "expected"),
        [
            (".*", {"line/weight", "line/bias"}),
            ("line/weight", {"line/weight"}),
            ("line", {"line/weight", "line/bias"}),
            ("li.*/b", {"line/bias"}),
            # A pattern matches at the start of a name, which ends with '/part_0:0'.
            ("weight", set()),
            (".*weight$", set()),
            ("line/weight/part_0:0$", {"line/weight"}),
            ("global_step", set()),
            (["line/weight"], {"line/weight"}),
            (["line/w", ".*bias"], {"line/weight", "line/bias"}),
            (["global_step"], {"global_step"}),
            ([".*"], {"line/weight", "line/bias", "global_step"}),
            ([], set()),
            (None, set()),
        ],
    )
    def test_patterns_choose(self, earlier: str, tmp_path: Path, vars_to_warm_start: Any, expected: set[str]) -> None:
        assert taken(tmp_path / "new", WarmStartSettings(earlier, vars_to_warm_start)) == expected

    @pytest.mark.parametrize("vars_to_warm_start", [".*", [".*"]])
    def test_only_a_list_reaches_slots_moving_averages_and_the_step(
        self, tmp_path: Path, vars_to_warm_start: Any
    ) -> None:
        first = fake_classifier(tmp_path / "first", batch_norm=True).train(fake_input_fn(3))
        hook, fresh = StartValues(), StartValues()
        settings = WarmStartSettings(first.model_dir, vars_to_warm_start)
        other = RunConfig(tf_random_seed=2)
        fake_classifier(tmp_path / "new", other, batch_norm=True, warm_start_from=settings).train(
            fake_input_fn(1), hooks=[hook]
        )
        fake_classifier(tmp_path / "fresh", other, batch_norm=True).train(fake_input_fn(1), hooks=[fresh])
        is_list = isinstance(vars_to_warm_start, list)
        for name, value in hook.values.items():
            is_trainable = not re.search(r"/t_0/|/moving_|global_step", name)
            expected = first.get_variable_value(name) if is_list or is_trainable else fresh.values[name]
            np.testing.assert_array_equal(value, expected, err_msg=name)

    @pytest.mark.parametrize("bad", [3, ["line", 3], {"line": 1}, [None], b"line"])
    def test_anything_else_is_refused(self, bad: Any) -> None:
        with pytest.raises(ValueError, match="vars_to_warm_start"):
            WarmStartSettings("path", bad)


class TestNames:
    def test_a_variable_may_have_had_another_name(self, tmp_path: Path) -> None:
        variables = {"old/weight": WEIGHT, "line/bias": BIAS, "line/weight": 0 * WEIGHT}
        save_checkpoint(str(tmp_path / "earlier"), variables, 7)
        names = {"line/weight": "old/weight"}
        settings = WarmStartSettings(str(tmp_path / "earlier"), var_name_to_prev_var_name=names)
        assert taken(tmp_path / "new", settings) == set(LINE_VARIABLES)

    @pytest.mark.parametrize(
        "settings",
        [
            {"var_name_to_prev_var_name": {"line/nothing": "line/weight"}},
            {"var_name_to_prev_var_name": {"line/weight": "line/bias"}, "vars_to_warm_start": "line/bias"},
            {"var_name_to_vocab_info": {"line/nothing": VocabInfo("new", 1, 0, "old")}},
            {
                "var_name_to_vocab_info": {"line/weight": VocabInfo("new", 1, 0, "old")},
                "vars_to_warm_start": "line/bias",
            },
        ],
    )
    def test_a_name_that_is_not_used_is_refused(self, earlier: str, tmp_path: Path, settings: dict[str, Any]) -> None:
        (what,) = (name for name in settings if name != "vars_to_warm_start")
        (unused,) = settings[what]
        with pytest.raises(ValueError, match=f"{what} names {unused}"):
            start_values(tmp_path / "new", WarmStartSettings(earlier, **settings))

    def test_a_variable_that_the_earlier_model_lacks_is_refused(self, tmp_path: Path) -> None:
        save_checkpoint(str(tmp_path / "earlier"), {"line/weight": WEIGHT}, 7)
        with pytest.raises(ValueError, match="no variable 'line/bias'"):
            start_values(tmp_path / "new", str(tmp_path / "earlier"))
        assert taken(tmp_path / "other", WarmStartSettings(str(tmp_path / "earlier"), "line/weight")) == {"line/weight"}

    def test_an_earlier_name_that_is_not_there_is_refused(self, earlier: str, tmp_path: Path) -> None:
        settings = WarmStartSettings(earlier, var_name_to_prev_var_name={"line/weight": "old/weight"})
        with pytest.raises(ValueError, match="no variable 'old/weight'"):
            start_values(tmp_path / "new", settings)

    def test_a_variable_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        other = {**LINE_VARIABLES, "line/weight": np.zeros((1, 2), np.float32)}
        save_checkpoint(str(tmp_path / "earlier"), other, 7)
        with pytest.raises(ValueError, match=r"'line/weight' has shape \(1, 2\)"):
            start_values(tmp_path / "new", str(tmp_path / "earlier"))


class TestSettings:
    @pytest.mark.parametrize("bad", ["", None])
    def test_a_checkpoint_must_be_given(self, bad: Any) -> None:
        with pytest.raises(ValueError, match="ckpt_to_initialize_from"):
            WarmStartSettings(bad)

    def test_no_maps_are_empty_ones(self) -> None:
        settings = WarmStartSettings("path", var_name_to_vocab_info=None, var_name_to_prev_var_name=None)  # type: ignore[arg-type]
        assert settings.vars_to_warm_start == ".*"
        assert settings.var_name_to_vocab_info == settings.var_name_to_prev_var_name == {}


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3)])
def test_a_table_in_slices_is_taken_whole_into_any_number_of_slices(tmp_path: Path, before: int, after: int) -> None:
    def classifier(name: str, slices: int, **arguments: Any) -> raydnn.DNNClassifier:
        partitioner = raydnn.fixed_size_partitioner(slices)
        return fake_classifier(tmp_path / name, input_layer_partitioner=partitioner, **arguments)

    first = classifier("first", before).train(fake_input_fn(2))
    (table,) = (name for name in first.get_variable_names() if name.endswith("embedding_weights"))
    hook = StartValues()
    classifier("new", after, warm_start_from=first.model_dir).train(fake_input_fn(1), hooks=[hook])
    np.testing.assert_array_equal(hook.values[table], first.get_variable_value(table))
