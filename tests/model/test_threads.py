"""As many threads as a computation is worth."""

from collections.abc import Iterator

import pytest
import torch

from raydnn.model.threads import OPERATIONS_PER_THREAD, threads_for


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("worth", "expected"), [(0, 1), (0.5, 1), (1.5, 1), (2, 2), (3, 3), (50, 3)])
def test_no_more_threads_than_it_is_worth_and_than_there_were(worth: float, expected: int) -> None:
    with threads_for(worth * OPERATIONS_PER_THREAD):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 3


def test_an_error_gives_the_threads_back_too() -> None:
    with pytest.raises(KeyError), threads_for(0):
        raise KeyError
    assert torch.get_num_threads() == 3
