"""One value of a metric, as it waits to be stored."""

from typing import NamedTuple

__all__ = ["MetricPoint"]


class MetricPoint(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    step: int
    timestamp_ms: int
