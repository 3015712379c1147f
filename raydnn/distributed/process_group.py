"""Replicas in a torch process group: gloo on CPU, NCCL on GPU."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raydnn.errors import AbortedError
from raydnn.model.tables import RowGradient, sum_rows

logger = logging.getLogger(__name__)

# gloo has no class of its own for this.
_TIMEOUT = re.compile("Timed out waiting|timeout caused pair closure")


class ProcessGroupReplicas:
    """A member of the default process group; see `raydnn.train.replicas.Replicas`.

    Args:
        device: where tensors of the group live.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._device = device
        self._gradients_ready: float | None = None

    def any(self, *flags: bool) -> tuple[bool, ...]:
        votes = torch.tensor(flags, dtype=torch.int32, device=self._device)
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return tuple(bool(vote) for vote in votes.tolist())

    def all_sum(self, tensor: Tensor) -> Tensor:
        return _AllSum.apply(tensor)  # type: ignore[no-untyped-call]

    def gather_rows(self, gradient: RowGradient | None, dimension: int) -> RowGradient | None:
        if gradient is None:
            empty = torch.empty(0, dimension, device=self._device)
            gradient = RowGradient(empty.new_empty(0, dtype=torch.int64), empty)
        ones = [1] * self.size
        own = torch.full((self.size,), len(gradient.rows), dtype=torch.int64, device=self._device)
        counts = self.all_to_all(own, ones, ones)
        rows = self._gather(gradient.rows, counts.tolist())
        return sum_rows(rows, self._gather(gradient.values, counts.tolist())) if len(rows) else None

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        received = values.new_empty(sum(receive), *values.shape[1:])
        dist.all_to_all_single(received, values.contiguous(), receive, send)
        return received

    def share(self, text: str) -> str:
        content = text.encode() if self.rank == 0 else b""
        length = torch.tensor([len(content)], device=self._device)
        dist.broadcast(length, src=0)
        letters = torch.zeros(int(length), dtype=torch.uint8, device=self._device)
        if self.rank == 0:
            letters = torch.tensor(list(content), dtype=torch.uint8, device=self._device)
        dist.broadcast(letters, src=0)
        return bytes(letters.tolist()).decode()

    def wrap(self, module: nn.Module, uses_all: bool) -> nn.Module:
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return module
        # Moving averages come from global statistics and are alike everywhere: nothing has to be broadcast.
        wrapped = DistributedDataParallel(
            module, gradient_as_bucket_view=True, broadcast_buffers=False, find_unused_parameters=not uses_all
        )
        # Each replica's loss is its share of the whole, so gradients are summed where DDP would average them.
        wrapped.register_comm_hook(None, self._sum_gradients)
        return wrapped

    def waited_for_gradients(self) -> float:
        since, self._gradients_ready = self._gradients_ready, None
        return 0.0 if since is None else time.perf_counter() - since

    def _sum_gradients(self, state: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
        self._gradients_ready = time.perf_counter()
        work = dist.all_reduce(bucket.buffer(), async_op=True)
        assert work is not None
        return work.get_future().then(lambda future: future.value()[0])

    def _gather(self, values: Tensor, counts: list[int]) -> Tensor:
        """The values of all replicas end to end; gloo has no all_gather of unequal parts."""
        sent = values.repeat(self.size, *[1] * (values.dim() - 1))
        return self.all_to_all(sent, [len(values)] * self.size, counts)


@contextmanager
def waiting_at_most(secs: float) -> Iterator[None]:
    """While the block runs, this member of the group waits so long for the others in each exchange, and not for ever.

    Raises:
        AbortedError: it has waited in vain.
    """
    rank = dist.get_rank()
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=secs))
    try:
        yield
    except RuntimeError as error:
        if not _TIMEOUT.search(str(error)):
            raise
        text = (
            f"worker {rank} has waited {secs:g} seconds for the other workers in one step: one of them hangs, or needs "
            "longer; if it does, set RunConfig(worker_timeout_secs=...) to more"
        )
        # Where the workers are restarted, nobody else will tell.
        logger.warning("Workers are given up: %s", text)
        raise AbortedError(text) from error


class _AllSum(torch.autograd.Function):
    """Sum over the group; as every replica uses the sum, its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total
