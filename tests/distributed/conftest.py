"""Shared by the tests of several workers."""

from collections.abc import Iterator

import pytest
from worker_processes import WorkerProcesses


@pytest.fixture(scope="session")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcesses]:
    """Two workers without a cluster, for what does not depend on Ray."""
    workers = WorkerProcesses(2, tmp_path_factory.mktemp("processes"))
    yield workers
    workers.close()
