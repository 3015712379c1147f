"""Which rows of a variable one replica holds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """Rows first, first + step, first + 2 * step, ... of a variable.

    A table that is spread over W replicas lies on each with step W, so that its frequent rows spread too, wherever in
    the table they stand.

    Attributes:
        first: the first row.
        step: from each row to the next.
        total: rows of the whole variable.
    """

    first: int
    step: int
    total: int

    def __len__(self) -> int:
        return max(0, -(-(self.total - self.first) // self.step))

    def of_each_replica(self) -> list["Rows"]:
        """What each replica holds, if these rows are one replica's."""
        return [Rows((self.first + rank) % self.step, self.step, self.total) for rank in range(self.step)]

    @property
    def places(self) -> slice:
        """Takes these rows from the whole."""
        return slice(self.first, self.total, self.step)

    def within(self, start: int, stop: int) -> tuple["Rows", slice]:
        """Those of rows [start, stop) of the variable.

        Returns:
            The same rows counted from start, and where they stand among the held ones.
        """
        skipped = len(Rows(self.first, self.step, start))
        part = Rows(self.first + skipped * self.step - start, self.step, stop - start)
        return part, slice(skipped, skipped + len(part))
