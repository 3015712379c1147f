"""The ledger of training: which rows each epoch of each call of train has read, dropped and trained on."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import zip_longest
from typing import TypeVar

from raydnn import errors, storage

N = TypeVar("N", int, float)

LEDGER_FILE = "ledger.json"
_FORMAT = "raydnn-ledger-1"

INCOMPLETE_BATCH = "incomplete last batch"
"""Dropped by `drop_remainder`."""
NOT_REACHED = "not reached: training stopped"
"""Left of an epoch when training stopped in it: by steps, max_steps, a hook or Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """What became of the rows of some consecutive steps in one epoch.

    Attributes:
        call_start_step: global step at which the call of train began.
        epoch: of that call, from 0. An input that does not tell its epochs counts as one, and so does one of which
            each worker makes a part of its own.
        first_step, last_step: global steps after the first and after the last update.
        read: rows that the entry answers for: those trained on and those dropped.
        dropped: reason -> rows that were not trained on; known only where the rows of an epoch are.
        rows: that went through an update, read less dropped.
        weight: sum of the example weights of these rows; None without a weight column.
        zero_weight_rows: how many of them have weight 0, so that nothing is learned of them; None as above.
        workers: rows that went through an update on each worker, by rank; their sum is `rows`.
    """

    call_start_step: int
    epoch: int
    first_step: int
    last_step: int
    read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    rows: int
    weight: float | None = None
    zero_weight_rows: int | None = None
    workers: tuple[int, ...]

    def __add__(self, other: "LedgerEntry") -> "LedgerEntry":
        """Both together, under the call and the epoch of this one."""
        reasons = [*self.dropped, *(reason for reason in other.dropped if reason not in self.dropped)]
        return replace(
            self,
            first_step=min(self.first_step, other.first_step),
            last_step=max(self.last_step, other.last_step),
            read=self.read + other.read,
            dropped={reason: self.dropped.get(reason, 0) + other.dropped.get(reason, 0) for reason in reasons},
            rows=self.rows + other.rows,
            weight=_sum(self.weight, other.weight),
            zero_weight_rows=_sum(self.zero_weight_rows, other.zero_weight_rows),
            workers=tuple(a + b for a, b in zip_longest(self.workers, other.workers, fillvalue=0)),
        )

    def with_dropped(self, reason: str, rows: int) -> "LedgerEntry":
        """This entry, answering for some rows more that were not trained on."""
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + rows}
        return replace(self, read=self.read + rows, dropped=dropped)

    def without_dropped(self, reason: str) -> "LedgerEntry":
        """This entry, not answering for the rows that were dropped for a reason."""
        dropped = {other: rows for other, rows in self.dropped.items() if other != reason}
        return replace(self, read=self.read - self.dropped.get(reason, 0), dropped=dropped)


def read_ledger(model_dir: str) -> list[LedgerEntry]:
    """The entries of a model's ledger, in the order of their steps; none if there is no ledger.

    Args:
        model_dir: of the estimator, local or any fsspec URL.

    Raises:
        DataLossError: the file is damaged.
        FailedPreconditionError: it is of another format.
    """
    url = storage.join(model_dir, LEDGER_FILE)
    try:
        content = json.loads(storage.read_bytes(url))
        found = content["format"]
        if found == _FORMAT:
            names = [each.name for each in fields(LedgerEntry)]
            entries = [{name: entry[name] for name in names} for entry in content["entries"]]
            return [LedgerEntry(**{**entry, "workers": tuple(entry["workers"])}) for entry in entries]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise errors.DataLossError(f"{url} is damaged ({error}); remove it, and the ledger begins anew") from error
    raise errors.FailedPreconditionError(f"{url} has the format {found!r}; this version reads {_FORMAT!r}")


def write_ledger(model_dir: str, entries: Iterable[LedgerEntry]) -> None:
    """Replace the entries of a model's ledger."""
    lines = ",\n".join(json.dumps(asdict(entry)) for entry in entries)
    text = f'{{"format": "{_FORMAT}", "entries": [\n{lines}\n]}}\n'
    storage.write_bytes(storage.join(model_dir, LEDGER_FILE), text.encode())


def sums_of_epochs(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """One entry for each epoch of each call, in the order of their first steps."""
    sums: dict[tuple[int, int], LedgerEntry] = {}
    for entry in entries:
        place = entry.call_start_step, entry.epoch
        sums[place] = sums[place] + entry if place in sums else entry
    return sorted(sums.values(), key=lambda entry: (entry.first_step, entry.epoch))


def sums_of_calls(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """One entry for each call, in the order of their first steps; its epoch is the call's first."""
    return sums_of_epochs(replace(entry, epoch=0) for entry in entries)


def _sum(a: N | None, b: N | None) -> N | None:
    """The sum of what is known."""
    return a if b is None else b if a is None else a + b
