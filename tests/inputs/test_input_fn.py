"""Calling the user's input_fn, and telling what it returned."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raydnn.inputs import InputContext, from_arrow
from raydnn.inputs.input_fn import GivenBatches, as_input, call_input_fn, wants_input_context

FEATURES = {"x": np.arange(3)}
LABELS = np.array([0, 1, 0])


def only_mode(mode: str) -> Any:
    return {"mode": [mode]}, None


def all_of_them(*, input_context: InputContext, config: Any, params: Mapping[str, Any], mode: str) -> Any:
    place = input_context.input_pipeline_id
    return {"mode": [mode], "params": [params["a"]], "config": [config], "place": [place]}, None


def with_path(path: str, mode: str) -> Any:
    return {"path": [path], "mode": [mode]}, None


class ReadingParams:
    def __call__(self, params: Mapping[str, Any]) -> Any:
        return {"params": [params["a"]]}, None


@pytest.mark.parametrize(
    ("input_fn", "expected"),
    [
        (lambda: ({"none": [0]}, None), {"none": [0]}),
        (only_mode, {"mode": ["train"]}),
        (all_of_them, {"mode": ["train"], "params": [5], "config": ["config"], "place": [1]}),
        (ReadingParams(), {"params": [5]}),
        (partial(with_path, "file"), {"path": ["file"], "mode": ["train"]}),
    ],
    ids=["nothing", "mode", "all", "object", "partial"],
)
def test_it_gets_those_arguments_that_it_declares(input_fn: Callable[..., Any], expected: dict[str, Any]) -> None:
    source = call_input_fn(input_fn, "train", {"a": 5}, "config", InputContext(2, 1, 2))
    assert isinstance(source, GivenBatches)
    assert next(iter(source.items)) == (expected, None)


def test_changes_to_params_stay_in_the_call() -> None:
    params = {"a": 5}

    def changing(params: dict[str, int]) -> Any:
        params["a"] = 6
        return FEATURES, LABELS

    call_input_fn(changing, "train", params, None, InputContext())
    assert params == {"a": 5}


@pytest.mark.parametrize(("input_fn", "expected"), [(all_of_them, True), (only_mode, False), (lambda: None, False)])
def test_only_a_function_that_declares_input_context_makes_its_own_shard(
    input_fn: Callable[..., Any], expected: bool
) -> None:
    assert wants_input_context(input_fn) is expected


@pytest.mark.parametrize(
    ("returned", "expected"),
    [((FEATURES, LABELS), (FEATURES, LABELS)), ([FEATURES, LABELS], (FEATURES, LABELS)), (FEATURES, (FEATURES, None))],
    ids=["tuple", "list", "features alone"],
)
def test_one_batch_is_given_again_and_again(returned: Any, expected: tuple[Any, Any]) -> None:
    source = as_input(returned)
    assert isinstance(source, GivenBatches)
    assert list(islice(source.items, 3)) == [expected] * 3


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([(FEATURES, LABELS)] * 2, [(FEATURES, LABELS)] * 2),
        ([[FEATURES, LABELS]], [(FEATURES, LABELS)]),
        ([FEATURES], [(FEATURES, None)]),
        ([], []),
    ],
)
def test_an_iterator_gives_its_batches_once(items: list[Any], expected: list[Any]) -> None:
    source = as_input(iter(items))
    assert isinstance(source, GivenBatches)
    assert list(source.items) == expected


def test_a_data_set_stays_what_it_is() -> None:
    dataset = from_arrow(pa.table({"x": [1]}))
    assert as_input(dataset) is dataset


@pytest.mark.parametrize("returned", [(FEATURES,), (FEATURES, LABELS, LABELS), [], [FEATURES]])
def test_a_tuple_that_is_no_pair_is_refused(returned: Any) -> None:
    with pytest.raises(ValueError, match=rf"\(features, labels\).* of length {len(returned)}"):
        as_input(returned)


def test_an_item_that_is_no_pair_is_refused_when_it_comes() -> None:
    source = as_input(iter([(FEATURES, LABELS), (FEATURES,)]))
    assert isinstance(source, GivenBatches)
    items = iter(source.items)
    next(items)
    with pytest.raises(ValueError, match="a batch should be .* got length 1"):
        next(items)


@pytest.mark.parametrize("returned", [None, 3, lambda: FEATURES])
def test_what_cannot_be_input_is_refused(returned: Any) -> None:
    with pytest.raises(ValueError, match="input_fn should return"):
        as_input(returned)


def test_a_context_divides_a_global_batch() -> None:
    assert InputContext(4, 0, 4).get_per_replica_batch_size(64) == 16
    with pytest.raises(ValueError, match="10 cannot be divided by 4"):
        InputContext(4, 0, 4).get_per_replica_batch_size(10)
