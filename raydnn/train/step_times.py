"""Where the time of training goes."""

from collections import defaultdict
from collections.abc import Mapping
from time import perf_counter
from types import TracebackType

from torch import Tensor, nn

from raydnn.model.tables import RowGradient
from raydnn.train.replicas import Replicas

INPUT = "input"
VOTE = "vote"
FORWARD = "forward"
BACKWARD = "backward"
EXCHANGE = "exchange"
ALL_REDUCE = "all-reduce"
OPTIMIZER = "optimizer"
HOOKS = "hooks"


class StepTimes:
    """Splits the time of this thread into parts: each moment belongs to one.

    input: waiting for a batch; vote: of workers on the next step; forward, backward; exchange: rows of tables and their
    gradients between workers; all-reduce: waiting for sums over workers; optimizer; hooks: all else. On a GPU these are
    the times until work is handed over to it.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget all times so far."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._part = HOOKS
        self._since = perf_counter()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each part so far."""
        self._switch(self._part)
        return dict(self._seconds)

    def part(self, name: str) -> "_Part":
        """A block whose time belongs to a part, except where blocks within it belong to others."""
        return _Part(self, name)

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count some time of one part for another."""
        self._seconds[source] -= seconds
        self._seconds[target] += seconds

    def _switch(self, name: str) -> str:
        before, now = self._part, perf_counter()
        self._seconds[before] += now - self._since
        self._part, self._since = name, now
        return before


class _Part:
    __slots__ = ("_before", "_name", "_times")

    def __init__(self, times: StepTimes, name: str) -> None:
        self._times = times
        self._name = name

    def __enter__(self) -> None:
        self._before = self._times._switch(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._times._switch(self._before)


class TimedReplicas:
    """Replicas whose waiting for each other is timed; see `raydnn.train.replicas.Replicas`."""

    def __init__(self, replicas: Replicas, times: StepTimes) -> None:
        self._replicas = replicas
        self._times = times
        self.rank, self.size = replicas.rank, replicas.size

    def any(self, *flags: bool) -> tuple[bool, ...]:
        with self._times.part(VOTE):
            return self._replicas.any(*flags)

    def all_sum(self, tensor: Tensor) -> Tensor:
        with self._times.part(ALL_REDUCE):
            return self._replicas.all_sum(tensor)

    def gather_rows(self, gradient: RowGradient | None, dimension: int) -> RowGradient | None:
        with self._times.part(EXCHANGE):
            return self._replicas.gather_rows(gradient, dimension)

    def all_to_all(self, values: Tensor, send: list[int], receive: list[int]) -> Tensor:
        with self._times.part(EXCHANGE):
            return self._replicas.all_to_all(values, send, receive)

    def share(self, text: str) -> str:
        return self._replicas.share(text)

    def wrap(self, module: nn.Module, uses_all: bool) -> nn.Module:
        return self._replicas.wrap(module, uses_all)

    def waited_for_gradients(self) -> float:
        return self._replicas.waited_for_gradients()


def described(seconds: Mapping[str, float], steps: int) -> str:
    """The parts of some steps' time, the largest first."""
    total = sum(seconds.values())
    parts = sorted(seconds.items(), key=lambda part: -part[1])
    shares = ", ".join(f"{name} {share / total:.0%}" for name, share in parts if share >= 0.005 * total)
    return f"{steps} steps took {total:.1f} s: {shares}"
