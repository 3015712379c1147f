"""What is raised and said of what went wrong in workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist
from ray.train import WorkerGroupError

from raydnn.distributed.cluster import own_errors
from raydnn.distributed.process_group import waiting_at_most
from raydnn.errors import AbortedError, ResourceExhaustedError


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group_of_one")
@pytest.mark.parametrize("text", ["Timed out waiting 5000ms for recv", "Application timeout caused pair closure"])
def test_waiting_in_vain_is_told_with_the_setting(text: str) -> None:
    with (
        pytest.raises(AbortedError, match=r"worker 0 has waited 5 seconds .* RunConfig\(worker_timeout_secs=...\)"),
        waiting_at_most(5),
    ):
        raise RuntimeError(text)


@pytest.mark.usefixtures("group_of_one")
def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="Connection closed by peer") as raised, waiting_at_most(5):
        raise RuntimeError("Connection closed by peer")
    assert type(raised.value) is RuntimeError


def test_of_several_errors_the_one_that_says_why_is_raised() -> None:
    collateral = RuntimeError("Connection closed by peer")
    with pytest.raises(AbortedError, match="why"), own_errors():
        raise WorkerGroupError("", {0: collateral, 2: AbortedError("why")})
    with pytest.raises(ResourceExhaustedError, match="full"), own_errors():
        raise WorkerGroupError("", {0: AbortedError("another worker"), 1: ResourceExhaustedError("full")})
    with pytest.raises(RuntimeError, match="closed"), own_errors():
        raise WorkerGroupError("", {1: ValueError("later"), 0: collateral})
