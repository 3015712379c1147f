"""The order in which the rows of a data set are trained on: pure integer arithmetic, no reading.

The input is a list of *fragments* (say, Parquet row groups), known by their numbers of rows. An epoch deals
all rows to global *batches*; the rows of a batch stand in *slots* 0, 1, ..., X-1. The slots are divided among
*lanes*: lane l of L fills slots [l*X//L, (l+1)*X//L), so a batch mixes rows from L places of the data set.
The fragments, in an order drawn from the seed, are laid end to end and cut into one run of rows per lane,
long enough to fill the lane's slots in every batch: no lane runs dry early. In a lane, neighbouring small
fragments are joined to *units*. A unit is what is read at once, and its rows are shuffled among themselves.
Rank r of N takes slots [r*X//N, (r+1)*X//N) of every batch and reads only the units that feed them.
Batches depend neither on the number of ranks nor on where a run was resumed, so a cursor (epoch, next batch)
is all that a checkpoint has to keep. Without shuffling there is one lane, in file order.
"""

from __future__ import annotations

import hashlib
import operator
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Cursor", "EpochPlan", "Piece", "Plan", "Take", "Unit", "shuffled"]

_Ints = npt.NDArray[np.int64]
_Keys = npt.NDArray[np.uint64]

# A change of the algorithm that moves any row must raise this number: old cursors are then refused.
_ALGORITHM = 1
_FRAGMENT_ORDER = 1
_ROW_ORDER = 2
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows [start, stop) of one fragment."""

    fragment: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Consecutive pieces of one lane that are read together."""

    lane: int
    pieces: tuple[Piece, ...]

    @property
    def num_rows(self) -> int:
        """Rows of all pieces together."""
        return sum(piece.stop - piece.start for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Take:
    """Rows [start, stop) of `EpochPlan.units[unit]`, counted after the unit's `row_order` was applied."""

    unit: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the training data: the next global batch, and the plan it belongs to."""

    epoch: int
    batch: int
    fingerprint: str

    def to_json(self) -> dict[str, int | str]:
        """Return the cursor as a dict that `json` can write."""
        return {"epoch": self.epoch, "batch": self.batch, "fingerprint": self.fingerprint}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Cursor:
        """Rebuild a cursor from what `to_json` returned.

        Raises:
            ValueError: a field is missing or has the wrong type.
        """
        epoch, batch, fingerprint = (data.get(name) for name in ("epoch", "batch", "fingerprint"))
        if not (isinstance(epoch, int) and isinstance(batch, int) and isinstance(fingerprint, str)):
            raise ValueError(f"not a cursor (epoch: int, batch: int, fingerprint: str): {dict(data)!r}")
        return cls(epoch, batch, fingerprint)


@dataclass(frozen=True)
class Plan:
    """Everything that decides which row stands in which slot of which batch.

    Args:
        fragment_rows: rows of each fragment, in file order; empty fragments are allowed.
        batch_size: rows of a global batch (over all ranks).
        shuffle: shuffle fragments and rows, anew in each epoch.
        seed: of the shuffle, in [0, 2**64).
        drop_remainder: leave out the last batch of an epoch when it would be short.
        num_lanes: places of the data set that a shuffled batch draws from.
        unit_rows: small fragments are joined to units of at most this many rows.

    Raises:
        ValueError: a value is out of range.
    """

    fragment_rows: tuple[int, ...] = field(repr=False)
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    drop_remainder: bool = False
    num_lanes: int = 8
    unit_rows: int = 65536

    def __post_init__(self) -> None:
        object.__setattr__(self, "fragment_rows", tuple(map(operator.index, self.fragment_rows)))
        for position, rows in enumerate(self.fragment_rows):
            if rows < 0:
                raise ValueError(f"fragment_rows[{position}] must not be negative, got {rows}")
        _check_int("batch_size", self.batch_size, 1)
        _check_int("seed", self.seed, 0, 2**64 - 1)
        _check_int("num_lanes", self.num_lanes, 1)
        _check_int("unit_rows", self.unit_rows, 1)

    @cached_property
    def num_rows(self) -> int:
        """Rows of all fragments together."""
        return sum(self.fragment_rows)

    @property
    def batches_per_epoch(self) -> int:
        """Global batches of one epoch, the short last one included unless it is dropped."""
        if self.drop_remainder:
            return self.num_rows // self.batch_size
        return -(-self.num_rows // self.batch_size)

    @property
    def effective_lanes(self) -> int:
        """Lanes in use: `num_lanes`, or 1 without shuffling."""
        return self.num_lanes if self.shuffle else 1

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of all fields: equal for two plans exactly if one can resume the other.

        It is a fixed-width digest per field, one after the other, so that `check` can name what differs.
        """
        return "".join(self._digests().values())

    def check(self, cursor: Cursor) -> None:
        """Make sure that training can go on from `cursor` with this plan.

        Raises:
            ValueError: the cursor belongs to another plan, or to no batch of this one.
        """
        if cursor.fingerprint != self.fingerprint:
            raise ValueError(
                "the input changed since the checkpoint and cannot be resumed at the same row; "
                + self._difference(cursor.fingerprint)
            )
        if cursor.epoch < 0 or not 0 <= cursor.batch <= self.batches_per_epoch:
            raise ValueError(
                f"cursor at epoch {cursor.epoch}, batch {cursor.batch} is outside the plan, "
                f"which has batches 0..{self.batches_per_epoch}"
            )

    def epoch(self, epoch: int, *, rank: int = 0, num_ranks: int = 1, start_batch: int = 0) -> EpochPlan:
        """Plan what one rank reads in one epoch.

        Args:
            epoch: number of the epoch, from 0; only the shuffle depends on it.
            rank: of this process, in [0, num_ranks).
            num_ranks: processes that share each global batch.
            start_batch: first global batch to deliver; `batches_per_epoch` leaves nothing to do.

        Raises:
            ValueError: an argument is out of range.
        """
        _check_int("epoch", epoch, 0, 2**64 - 1)
        _check_int("num_ranks", num_ranks, 1)
        _check_int("rank", rank, 0, num_ranks - 1)
        _check_int("start_batch", start_batch, 0, self.batches_per_epoch)
        layout = self._layout(epoch)
        first, last = self._batch_span(layout, rank, num_ranks, start_batch)
        needed = np.flatnonzero(first <= last)
        needed = needed[np.lexsort((layout.lane[needed], first[needed]))]
        placed: list[list[tuple[int, int, int]]] = [[] for _ in range(self.effective_lanes)]
        spans = zip(
            layout.lane[needed].tolist(),
            layout.lane_start[needed].tolist(),
            layout.lane_stop[needed].tolist(),
            strict=True,
        )
        for index, (lane, start, stop) in enumerate(spans):
            placed[lane].append((index, start, stop))
        return EpochPlan(
            units=layout.units(needed),
            last_batch=tuple(last[needed].tolist()),
            num_batches=self.batches_per_epoch,
            start_batch=start_batch,
            rank=rank,
            num_ranks=num_ranks,
            epoch=epoch,
            plan=self,
            _placed=tuple(map(tuple, placed)),
        )

    @cached_property
    def _first_rows(self) -> _Ints:
        """Global row id of each fragment's first row."""
        rows = np.array(self.fragment_rows, dtype=np.int64)
        return np.cumsum(rows) - rows

    def _digests(self) -> dict[str, str]:
        values = {"algorithm": repr(_ALGORITHM)}
        values |= {item.name: repr(getattr(self, item.name)) for item in fields(self)}
        return {
            name: hashlib.blake2b(f"{name}={value}".encode(), digest_size=_DIGEST_BYTES).hexdigest()
            for name, value in values.items()
        }

    def _difference(self, fingerprint: str) -> str:
        width = 2 * _DIGEST_BYTES
        if len(fingerprint) != len(self.fingerprint):
            return f"the fingerprint {fingerprint!r} is of another kind than this plan's"
        digests = self._digests().items()
        changed = [
            name
            for position, (name, digest) in enumerate(digests)
            if fingerprint[position * width : (position + 1) * width] != digest
        ]
        now = f"now {len(self.fragment_rows)} fragments with {self.num_rows} rows, {self!r}"
        return f"different: {', '.join(changed)} ({now})"

    def _layout(self, epoch: int) -> _Layout:
        """Cut the fragments into lanes and units; the same for every rank and cursor."""
        rows = np.array(self.fragment_rows, dtype=np.int64)
        order = np.arange(len(rows), dtype=np.int64)
        if self.shuffle:
            order = _order_by_key(_key(self.seed, epoch, _FRAGMENT_ORDER), order)
        stops = np.cumsum(rows[order])
        lane_stops = np.cumsum(self._lane_rows())
        # Sorted and unique: empty fragments and empty lanes leave no piece behind.
        cuts = np.unique(np.concatenate(([0], stops, lane_stops)))
        begin, end = cuts[:-1], cuts[1:]
        place = np.searchsorted(stops, begin, side="right")
        fragment = order[place]
        before = stops[place] - rows[fragment]
        lane_pieces = np.searchsorted(cuts, lane_stops)
        bounds = np.array(_join_pieces(cuts.tolist(), lane_pieces.tolist(), self.unit_rows), dtype=np.int64)
        lane = np.searchsorted(lane_stops, cuts[bounds[:-1]], side="right")
        lane_first = np.concatenate(([0], lane_stops))[lane]
        return _Layout(
            fragment=fragment,
            start=begin - before,
            stop=end - before,
            bounds=bounds,
            lane=lane,
            lane_start=cuts[bounds[:-1]] - lane_first,
            lane_stop=cuts[bounds[1:]] - lane_first,
        )

    def _lane_rows(self) -> _Ints:
        """Rows that each lane needs for all its slots of an epoch; their sum is `num_rows`."""
        full_batches, tail = divmod(self.num_rows, self.batch_size)
        lanes = self.effective_lanes
        needs = []
        for lane in range(lanes):
            (a, b), (c, d) = _part(lane, self.batch_size, lanes), _part(lane, tail, lanes)
            needs.append(full_batches * (b - a) + (d - c))
        return np.array(needs, dtype=np.int64)

    def _batch_span(self, layout: _Layout, rank: int, num_ranks: int, start_batch: int) -> tuple[_Ints, _Ints]:
        """Find the first and last batch, from `start_batch` on, for which a rank needs each unit.

        Returns:
            The first and the last batch by unit; first > last for a unit that the rank does not need.
        """
        full, tail = divmod(self.num_rows, self.batch_size)
        lanes, total = self.effective_lanes, self.batches_per_epoch
        first = np.full(len(layout.lane), total, dtype=np.int64)
        last = np.full(len(layout.lane), -1, dtype=np.int64)
        if start_batch == total:
            return first, last
        consumed = np.zeros(len(layout.lane), dtype=np.int64)
        if full:
            width, low, high = (a[layout.lane] for a in _shares(self.batch_size, lanes, rank, num_ranks))
            consumed = full * width
            step = np.maximum(width, 1)
            # In batch k a rank takes the lane's rows [k*width + low, k*width + high).
            begin = np.maximum((layout.lane_start - high) // step + 1, start_batch)
            end = np.minimum((layout.lane_stop - low - 1) // step, full - 1)
            used = (low < high) & (begin <= end)
            first[used], last[used] = begin[used], end[used]
        if total > full:
            _, low, high = (a[layout.lane] for a in _shares(tail, lanes, rank, num_ranks))
            used = (low < high) & (layout.lane_start < consumed + high) & (consumed + low < layout.lane_stop)
            first[used] = np.minimum(first[used], full)
            last[used] = full
        return first, last


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """What one rank reads in one epoch, from `start_batch` on; built by `Plan.epoch`.

    Attributes:
        units: the units this rank still needs, in the order to load them: by first batch that needs them,
            then by lane.
        last_batch: for each unit, the batch after which no take refers to it.
        num_batches: global batches of the whole epoch.
        start_batch: the first batch that `batches` yields.
    """

    units: tuple[Unit, ...] = field(repr=False)
    last_batch: tuple[int, ...] = field(repr=False)
    num_batches: int
    start_batch: int
    rank: int
    num_ranks: int
    epoch: int
    plan: Plan = field(repr=False)
    # By lane: (index in `units`, first row, end row), both counted in rows of the lane.
    _placed: tuple[tuple[tuple[int, int, int], ...], ...] = field(repr=False)

    def row_order(self, unit: Unit) -> _Ints | None:
        """Return the permutation to apply to a unit's rows after reading, None when not shuffled.

        Row i of the shuffled unit is row `row_order(unit)[i]` of its pieces laid end to end.
        """
        if not self.plan.shuffle:
            return None
        return shuffled(self.plan.seed, self.epoch, self._global_ids(unit))

    def batches(self) -> Iterator[tuple[Take, ...]]:
        """Yield this rank's takes for batch `start_batch`, `start_batch` + 1, ..., each in slot order.

        A tuple is empty when a short batch leaves this rank no row.
        """
        lanes = self.plan.effective_lanes
        next_unit = [0] * lanes
        for batch in range(self.start_batch, self.num_batches):
            rows = self.global_rows(batch)
            low, high = self.rank_rows(batch)
            takes: list[Take] = []
            for lane in range(lanes):
                begin, end = _part(lane, rows, lanes)
                start, stop = max(begin, low), min(end, high)
                if start < stop:
                    # Only the last batch can be short, so all batches before this one were full.
                    full_begin, full_end = _part(lane, self.plan.batch_size, lanes)
                    shift = batch * (full_end - full_begin) - begin
                    next_unit[lane] = self._take(lane, next_unit[lane], start + shift, stop + shift, takes)
            yield tuple(takes)

    def global_rows(self, batch: int) -> int:
        """Rows of a whole global batch, over all ranks.

        Raises:
            IndexError: the epoch has no such batch.
        """
        if not 0 <= batch < self.num_batches:
            raise IndexError(f"batch {batch} is not one of the epoch's {self.num_batches} batches")
        return min(self.plan.batch_size, self.plan.num_rows - batch * self.plan.batch_size)

    def rank_rows(self, batch: int) -> tuple[int, int]:
        """Slots [start, stop) of a global batch that belong to this rank.

        Raises:
            IndexError: the epoch has no such batch.
        """
        return _part(self.rank, self.global_rows(batch), self.num_ranks)

    def _take(self, lane: int, position: int, start: int, stop: int, takes: list[Take]) -> int:
        """Append the takes for rows [start, stop) of a lane; return where to go on in the lane's units."""
        placed = self._placed[lane]
        while start < stop:
            index, unit_start, unit_stop = placed[position]
            if start < unit_stop:
                end = min(stop, unit_stop)
                takes.append(Take(index, start - unit_start, end - unit_start))
                start = end
            if start >= unit_stop:
                position += 1
        return position

    def _global_ids(self, unit: Unit) -> _Ints:
        """Global row ids of a unit's rows, in the order of its pieces."""
        fragments = [piece.fragment for piece in unit.pieces]
        starts = np.array([piece.start for piece in unit.pieces], dtype=np.int64)
        lengths = np.array([piece.stop for piece in unit.pieces], dtype=np.int64) - starts
        shift = self.plan._first_rows[fragments] + starts - (np.cumsum(lengths) - lengths)
        return np.repeat(shift, lengths) + np.arange(lengths.sum(), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Layout:
    """All units of an epoch as arrays, lane by lane.

    `fragment`, `start` and `stop` describe the pieces; unit u owns pieces [bounds[u], bounds[u + 1]) and rows
    [lane_start[u], lane_stop[u]) of lane `lane[u]`.
    """

    fragment: _Ints
    start: _Ints
    stop: _Ints
    bounds: _Ints
    lane: _Ints
    lane_start: _Ints
    lane_stop: _Ints

    def units(self, chosen: _Ints) -> tuple[Unit, ...]:
        """Build the chosen units, in the order given."""
        fragment, start, stop = self.fragment.tolist(), self.start.tolist(), self.stop.tolist()
        spans = zip(
            self.lane[chosen].tolist(),
            self.bounds[chosen].tolist(),
            self.bounds[chosen + 1].tolist(),
            strict=True,
        )
        return tuple(
            Unit(lane, tuple(map(Piece, fragment[begin:end], start[begin:end], stop[begin:end])))
            for lane, begin, end in spans
        )


def shuffled(seed: int, epoch: int, global_ids: _Ints) -> _Ints:
    """An order for rows that are read together, which depends on nothing but the arguments.

    Args:
        seed: of the shuffle, in [0, 2**64).
        epoch: number of the epoch, from 0.
        global_ids: place of each row in the whole data set.

    Returns:
        A permutation: row i of the shuffled rows is row `shuffled(...)[i]` of the given ones.
    """
    return _order_by_key(_key(seed, epoch, _ROW_ORDER), global_ids)


def _check_int(name: str, value: int, low: int, high: int | None = None) -> None:
    if not isinstance(value, int) or value < low or (high is not None and value > high):
        limits = f">= {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be an integer {limits}, got {value!r}")


def _part(index: int, size: int, parts: int) -> tuple[int, int]:
    """Part `index` of [0, size) cut into `parts` parts as even as can be."""
    return index * size // parts, (index + 1) * size // parts


def _shares(size: int, lanes: int, rank: int, num_ranks: int) -> tuple[_Ints, _Ints, _Ints]:
    """A rank's share of each lane's slots in a batch of `size` rows.

    Returns:
        Per lane: its number of slots, and the start and stop of the rank's share among them. The share is
        empty when start >= stop.
    """
    low, high = _part(rank, size, num_ranks)
    spans = [_part(lane, size, lanes) for lane in range(lanes)]
    begin, end = np.array(spans, dtype=np.int64).T
    return end - begin, np.maximum(begin, low) - begin, np.minimum(end, high) - begin


def _join_pieces(cuts: list[int], lane_pieces: list[int], unit_rows: int) -> list[int]:
    """Join neighbouring pieces of a lane to units of at most `unit_rows` rows.

    A piece that is larger by itself is a unit of its own: a fragment is decoded whole, so splitting it would
    decode it twice.

    Args:
        cuts: piece p holds rows [cuts[p], cuts[p + 1]).
        lane_pieces: for each lane, the end of its range of pieces.
        unit_rows: largest unit to make by joining.

    Returns:
        The first piece of each unit, and the number of pieces at the end.
    """
    bounds = [0]
    piece = 0
    for lane_end in lane_pieces:
        while piece < lane_end:
            fitting = bisect_right(cuts, cuts[piece] + unit_rows) - 1
            piece = min(max(fitting, piece + 1), lane_end)
            bounds.append(piece)
    return bounds


def _mix(key: int, values: _Ints | _Keys) -> _Keys:
    """Return, for each value v, output v of the SplitMix64 generator seeded with `key`.

    Written out here because the streams of NumPy's generators may change between NumPy versions.
    """
    z = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _key(*chain: int) -> int:
    """Chain numbers in [0, 2**64) into one key; their order matters."""
    key = 0
    for number in chain:
        key = int(_mix(key, np.array([number], dtype=np.uint64))[0])
    return key


def _order_by_key(key: int, values: _Ints) -> _Ints:
    """Permutation that sorts `values` by their mixed keys."""
    return np.argsort(_mix(key, values), kind="stable").astype(np.int64, copy=False)
