"""A report and its pictures as artifacts of the MLflow run that belongs to a folder."""

import tempfile
from importlib import import_module
from pathlib import Path

from raydnn.report.charts import Picture
from raydnn.report.page import Page
from raydnn.tracking.run_record import read_record

REPORT_FILE = "report.html"
ARTIFACTS = "report"
"""The folder of the report among the artifacts of an MLflow run."""


def log_page(folder: str, page: Page, html: bytes) -> str | None:
    """Make a page and its pictures artifacts of the MLflow run of a folder.

    Args:
        folder: of a model or a sweep, local or any fsspec URL.
        page: with the pictures, which become PNG files.
        html: the page as HTML.

    Returns:
        Id of the run; None where the folder has none, or MLflow could not be reached, of which a warning tells.
    """
    record = read_record(folder)
    if record is None:
        return None
    with tempfile.TemporaryDirectory() as local:
        Path(local, REPORT_FILE).write_bytes(html)
        for chart in page.charts:
            if isinstance(chart, Picture):
                Path(local, f"{chart.name}.png").write_bytes(chart.to_png())
        # By name: MLflow takes seconds to load.
        is_logged = import_module("raydnn.tracking.mlflow_artifacts").log_artifacts(folder, local, ARTIFACTS)
    return record.run_id if is_logged else None
