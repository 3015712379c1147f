"""What an Estimator checks when it is made, and in which order."""

import functools
import inspect
from os import PathLike
from pathlib import Path
from typing import Any

import pytest
from fake_model_fn import line_fn

import raydnn
from raydnn import EstimatorSpec, RunConfig
from raydnn.estimator import WarmStartSettings


def no_features(labels: Any) -> EstimatorSpec:
    raise AssertionError("never called")


class Overriding(raydnn.Estimator):
    def train(self, *arguments: Any) -> Any:
        raise AssertionError("never called")


# Each row is wrong in one way; joined with those below it, its own error comes first.
BAD = {
    "redefines train": {"kind": Overriding},
    "config must be a RunConfig": {"config": "config"},
    "model_dir is 'elsewhere' as argument": {"model_dir": "elsewhere"},
    "model_fn must": {"model_fn": None},
    "warm_start_from": {"warm_start_from": 3},
}


@pytest.mark.parametrize("place", range(len(BAD)))
def test_checks_come_in_a_fixed_order(place: int) -> None:
    arguments: dict[str, Any] = {"kind": raydnn.Estimator, "model_fn": line_fn(), "config": RunConfig(model_dir="dir")}
    for bad in reversed(list(BAD.values())[place:]):
        arguments |= bad
    kind = arguments.pop("kind")
    with pytest.raises(ValueError, match=list(BAD)[place]):
        kind(**arguments)


def test_a_model_fn_is_checked_before_the_warm_start() -> None:
    with pytest.raises(ValueError, match="'features'"):
        raydnn.Estimator(no_features, "model", warm_start_from=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [3, 1.5, ["path"], {"path": "a"}, object()])
def test_a_warm_start_of_another_type_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="warm_start_from"):
        raydnn.Estimator(line_fn(), "model", warm_start_from=bad)


@pytest.mark.parametrize("good", ["path", b"path", Path("path"), WarmStartSettings("path")])
def test_the_earlier_model_of_a_warm_start_is_not_looked_for_yet(good: Any) -> None:
    raydnn.Estimator(line_fn(), "model", warm_start_from=good)


@pytest.mark.parametrize(
    "name", ["model_fn", "latest_checkpoint", "_create_and_assert_global_step", "_export_all_saved_models"]
)
def test_these_members_may_be_redefined(name: str) -> None:
    kind = type("Overriding", (raydnn.Estimator,), {name: lambda self: "mine"})
    assert getattr(kind(line_fn(), "model"), name)() == "mine"


@pytest.mark.parametrize(
    "name",
    ["config", "eval_dir", "get_variable_names", "get_variable_value", "model_dir", "params"],
)
def test_no_other_member_may_be_redefined(name: str) -> None:
    with pytest.raises(ValueError, match=f"redefines {name}"):
        type("Overriding", (raydnn.Estimator,), {name: None})(line_fn(), "model")


def test_a_member_that_a_parent_redefines_is_refused_too() -> None:
    class Child(Overriding):
        pass

    with pytest.raises(ValueError, match="redefines train"):
        Child(line_fn(), "model")


class FolderOfMine(PathLike[str]):
    def __fspath__(self) -> str:
        return "folder/of/mine"


def test_a_model_dir_is_what_its_fspath_gives() -> None:
    estimator = raydnn.Estimator(line_fn(), FolderOfMine())
    assert estimator.model_dir == "folder/of/mine"
    assert type(estimator.model_dir) is str
    same = raydnn.Estimator(line_fn(), FolderOfMine(), RunConfig(model_dir="folder/of/mine"))
    assert same.model_dir == "folder/of/mine"


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    estimator = raydnn.Estimator(line_fn(), tmp_path / "model")
    assert estimator.latest_checkpoint() is None
    estimator.eval_dir("name")
    with pytest.raises(ValueError, match="no checkpoint"):
        estimator.get_variable_names()
    assert not (tmp_path / "model").exists()


class WithMethod:
    def model_fn(self, features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=features["x"])

    def __call__(self, features: Any, mode: str) -> EstimatorSpec:
        return EstimatorSpec(mode, predictions=features["x"])


@pytest.mark.parametrize(
    "model_fn",
    [
        WithMethod().model_fn,
        WithMethod(),
        WithMethod.model_fn,
        functools.partial(line_fn(), labels=None),
        lambda features: None,
        lambda features, labels, mode, params, config: None,
    ],
    ids=["bound method", "object", "with self", "partial", "fewest arguments", "all arguments"],
)
def test_any_callable_with_the_known_arguments_is_a_model_fn(model_fn: Any) -> None:
    raydnn.Estimator(model_fn, "model", params=None)


def test_empty_params_are_given_ones() -> None:
    with pytest.raises(ValueError, match="no argument 'params'"):
        raydnn.Estimator(line_fn(), "model", params={})


def test_params_of_none_are_empty() -> None:
    assert raydnn.Estimator(line_fn(), "model", params=None).params == {}


def test_the_bound_model_fn_takes_these_arguments() -> None:
    estimator = raydnn.Estimator(line_fn(), "model")
    assert list(inspect.signature(estimator.model_fn).parameters) == ["features", "labels", "mode", "config"]


@pytest.mark.parametrize("name", ["config", "model_dir", "model_fn", "params"])
def test_properties_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(raydnn.Estimator(line_fn(), "model"), name, None)
