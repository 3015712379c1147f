"""Shared by all tests."""

import os

# Before Ray or MLflow is imported anywhere: no calls home, no token files, short waits.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# One process that reads the ends of Parquet files, in place of 32.
os.environ.setdefault("RAY_DATA_PARQUET_FOOTER_NUM_ACTORS", "1")

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What commands print, and whom they talk to, does not depend on who runs the tests.
for name in ("FORCE_COLOR", "PY_COLORS", "COLUMNS", "LINES", "RAY_ADDRESS", "TF_CONFIG", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)
os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

# The same examples each time, however long a busy machine takes for one.
hypothesis.settings.register_profile(
    "raydnn",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("raydnn")


@pytest.fixture(scope="session")
def ray_four_cpus() -> Iterator[None]:
    """A cluster that believes to have four CPUs, so that Ray Data has room beside two workers."""
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


# Not for longer: while it runs, its event loop is in the way of others.
@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium; tests that need it are skipped where it is not on the PATH."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
