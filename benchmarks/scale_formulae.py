"""What a step of the click logs' network (see `workloads.py`) takes on one of W workers, R rows each.

    compute    (a + b R) s     forward, backward and hooks, of one thread; a and b by least squares over trainings in
                               one process with four sizes of batches. s: how much slower a core is when all are busy
    update     (d + e T) s     the optimizer; d for dense variables, e for each of T rows of tables that a worker owns
               + g D s         and that any worker's batch touches; g to sum each of D received gradients by row
    exchange   B x + 4 (W - 1) l
                               four all-to-alls: how many rows are asked for, their ids (4 bytes each), the rows (64)
                               and their gradients (64). B = (W - 1) / W D 132 + (W - 1) 8 bytes are sent by each
    sums       2 (W - 1) / W N x' + M 2 (W - 1) l'
                               ring all-reduces (Patarasu and Yuan, 2009) of N bytes of dense gradients, M in all:
                               two buckets of gradients, the loss, and the vote
    waiting    (a + b R) s k   for the slowest: k is by how much the longest of W steps exceeds the mean, on average
                               over draws from the steps of the trainings in one process

D are the distinct ids of a worker's batch: the sum over columns and words of 1 - (1 - p)^R, where p is the word's
share by Zipf's law; T is the same for the rows of all workers, divided by W. Where words are hashed, n words of a
column meet in V (1 - (1 - 1/V)^n) of V buckets. x and l, x' and l' (seconds a byte, seconds a message: Hockney's model,
1994) come from all-to-alls and all-reduces of two sizes between two bare gloo processes. Workers that share cores share
them evenly: where W of them want u cores each (measured in one process: u is above 1, because input is read beside
training) and there are fewer, compute and update take W u / cores as long, and exchange and sums W / cores.

Nothing of the fit comes from trainings with workers. They are what the model is checked against.

Left out: overlap of sums and backward pass, and that messages to several workers travel at once (both make it faster);
tables that no cache can hold (which makes it slower). Waiting for others is measured within exchange and sums.

For the estimate each worker has cores of its own. Matrix products are taken to be as many times faster as there are
cores, the update not at all. A message takes the network's latency and gloo's own, a byte the longer of the network's
time and gloo's. Words are spread over the columns as in the click logs, as many times more, and each has a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from workloads import CLICK_DIMENSION, CLICK_FLOATS, CLICK_HIDDEN, CLICK_WORDS, CLICK_ZIPF

ROW_BYTES, ID_BYTES, COUNT_BYTES = 4 * CLICK_DIMENSION, 4, 8
GRADIENT_BUCKETS, SMALL_SUMS = 2, 2


@dataclass(frozen=True)
class Line:
    """seconds = fixed + each * n."""

    fixed: float
    each: float

    def at(self, count: float) -> float:
        """Seconds for so many."""
        return self.fixed + self.each * count

    @classmethod
    def through(cls, counts: Sequence[float], seconds: Sequence[float]) -> "Line":
        """The line with the least squares of relative errors."""
        each, fixed = np.polyfit(counts, seconds, 1, w=1 / np.array(seconds))
        return cls(float(fixed), float(each))


@dataclass(frozen=True)
class Costs:
    """What the parts of a step cost where nobody else is.

    Attributes:
        compute: of forward, backward and hooks, by the rows of the batch.
        update: of the optimizer, by the touched rows of tables.
        sum_row: seconds to sum a gradient with others of its row.
        busy: cores that a training of one thread uses, its input included.
        crowding: how much slower a core multiplies when all cores do.
        exchange: of an all-to-all, by bytes that a worker sends; for one message.
        sums: of an all-reduce, in the same way.
        overhead: bytes of memory of a worker beside tables and their slots.
        relative: how long steps took in one process, against the mean of steps with as many rows; ascending.
    """

    compute: Line
    update: Line
    sum_row: float
    busy: float
    crowding: float
    exchange: Line
    sums: Line
    overhead: float
    relative: list[float]


@dataclass(frozen=True)
class Volume:
    """What a step moves, on average for a worker.

    Attributes:
        received: gradients of rows that it gets and sums, its own among them; as many rows as its batch reads.
        touched: rows that it owns and updates.
        ids, rows, gradients, counts, dense: bytes that it sends.
    """

    received: float
    touched: float
    ids: float
    rows: float
    gradients: float
    counts: float
    dense: float

    @property
    def exchange(self) -> float:
        """Bytes of the exchange of rows."""
        return self.ids + self.rows + self.gradients + self.counts


@dataclass(frozen=True)
class Step:
    """Seconds of the parts of a step."""

    compute: float
    update: float
    exchange: float
    sums: float
    waiting: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of the step."""
        return self.compute + self.update + self.exchange + self.sums + self.waiting


def dense_bytes() -> int:
    """Bytes of the dense variables of the network."""
    widths = [CLICK_FLOATS + len(CLICK_WORDS) * CLICK_DIMENSION, *CLICK_HIDDEN, 1]
    return 4 * sum((inputs + 1) * units for inputs, units in pairwise(widths))


def distinct_words(words: int, draws: float) -> float:
    """How many different words some draws give, if their shares follow the click logs' law."""
    edges = np.arange(1, min(words, 1000) + 2)
    if words > 1000:
        # Of the rarer words neighbours are much alike: they count in blocks.
        edges = np.unique(np.append(edges, np.geomspace(1001, words + 1, 20_000).round().astype(np.int64)))
    counts = np.diff(edges)
    shares = (edges[:-1] + (counts - 1) / 2) ** -CLICK_ZIPF
    shares /= (shares * counts).sum()
    return float((counts * -np.expm1(draws * np.log1p(-shares))).sum())


def distinct_rows(vocabularies: Sequence[int], draws: float, buckets: int | None) -> float:
    """How many rows of tables a batch reads.

    Args:
        vocabularies: words of each column.
        draws: rows of the batch.
        buckets: into which the words of a column are hashed; None gives each word a row.
    """
    found = [distinct_words(words, draws) for words in vocabularies]
    if buckets is None:
        return sum(found)
    return float(sum(-buckets * np.expm1(words * np.log1p(-1 / buckets)) for words in found))


def volume_of(vocabularies: Sequence[int], rows: float, workers: int, buckets: int | None = None) -> Volume:
    """What a step moves.

    Args:
        vocabularies: words of each column.
        rows: of a worker's batch.
        workers: over which the tables are spread.
        buckets: see `distinct_rows`.
    """
    distinct = distinct_rows(vocabularies, rows, buckets)
    away = (1 - 1 / workers) * distinct
    return Volume(
        received=distinct,
        touched=distinct_rows(vocabularies, rows * workers, buckets) / workers,
        ids=away * ID_BYTES,
        rows=away * ROW_BYTES,
        gradients=away * ROW_BYTES,
        counts=(workers - 1) * COUNT_BYTES,
        dense=2 * (1 - 1 / workers) * dense_bytes(),
    )


def exchange_seconds(costs: Costs, volume: Volume, workers: int) -> float:
    """Seconds of the four all-to-alls."""
    return 4 * (workers - 1) * costs.exchange.fixed + volume.exchange * costs.exchange.each


def sums_seconds(costs: Costs, volume: Volume, workers: int) -> float:
    """Seconds of the all-reduces."""
    messages = (GRADIENT_BUCKETS + SMALL_SUMS) * 2 * (workers - 1)
    return messages * costs.sums.fixed + volume.dense * costs.sums.each


def update_seconds(costs: Costs, volume: Volume) -> float:
    """Seconds of the optimizer."""
    return costs.update.at(volume.touched) + costs.sum_row * volume.received


def longest(relative: Sequence[float], workers: int) -> float:
    """The mean of the longest of some workers' steps, if each is drawn from those given, in ascending order."""
    below = np.arange(len(relative) + 1) / len(relative)
    return float(np.diff(below**workers) @ np.array(relative))


def shared_step(costs: Costs, volume: Volume, rows: float, workers: int, cores: int) -> Step:
    """The step of workers with a thread each that share the cores of this machine."""
    crowding = 1 + (costs.crowding - 1) * (min(workers, cores) - 1) / max(cores - 1, 1)
    slower = crowding * max(1.0, workers * costs.busy / cores)
    compute, turns = slower * costs.compute.at(rows), max(1.0, workers / cores)
    return Step(
        compute,
        slower * update_seconds(costs, volume),
        turns * exchange_seconds(costs, volume, workers),
        turns * sums_seconds(costs, volume, workers),
        compute * max(longest(costs.relative, workers) - 1, 0.0),
    )


def own_step(costs: Costs, volume: Volume, rows: float, workers: int, cores: int) -> Step:
    """The step of workers with so many cores of their own."""
    compute = costs.compute.fixed + costs.compute.each * costs.crowding * costs.busy / cores * rows
    return Step(
        compute,
        costs.crowding * update_seconds(costs, volume),
        exchange_seconds(costs, volume, workers),
        sums_seconds(costs, volume, workers),
        compute * max(longest(costs.relative, workers) - 1, 0.0),
    )


def on_network(costs: Costs, gbit: float, latency: float) -> Costs:
    """The costs where messages cross a network.

    Args:
        costs: measured on one machine.
        gbit: 10^9 bits a second of each worker, both ways at once.
        latency: seconds of a message.
    """

    def across(line: Line) -> Line:
        return Line(line.fixed + latency, max(line.each, 8e-9 / gbit))

    return replace(costs, exchange=across(costs.exchange), sums=across(costs.sums))


def memory(table_rows: float, workers: int, costs: Costs) -> float:
    """Bytes of a worker: its rows, a slot of Adagrad for each number, and all else."""
    return table_rows / workers * 2 * ROW_BYTES + costs.overhead
