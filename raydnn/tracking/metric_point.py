"""Values of metrics, as they wait to be stored."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["MetricPoint", "metric_points"]


class MetricPoint(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    step: int
    timestamp_ms: int


def metric_points(metrics: Mapping[str, Any], step: int) -> list[MetricPoint]:
    """Metrics by name, all of one step and of now."""
    now_ms = time.time_ns() // 1_000_000
    return [MetricPoint(key, float(value), int(step), now_ms) for key, value in metrics.items()]
