"""Shared by all tests."""

import os

# Before Ray or MLflow is imported anywhere: no calls home, no token files, short waits.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_four_cpus() -> Iterator[None]:
    """A cluster that believes to have four CPUs, so that Ray Data has room beside two workers."""
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
