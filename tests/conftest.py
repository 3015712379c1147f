"""Shared by all tests."""

import os

# Before Ray or MLflow is imported anywhere: no calls home, no token files, short waits.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
