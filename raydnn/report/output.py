"""Where the page of a report goes: into a file, and to the MLflow run of the folder that it is about."""

import tempfile
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path

from raydnn import storage
from raydnn.report.drawing import Picture
from raydnn.report.page import Page
from raydnn.tracking.run_record import read_record

REPORT_FILE = "report.html"
ARTIFACTS = "report"
"""The folder of the report among the artifacts of an MLflow run."""


def place_of(folder: str, out: str | PathLike[str] | None) -> str:
    """Path or URL of the HTML file.

    Args:
        folder: of a model or a sweep.
        out: what was asked for; None takes report.html in the folder.

    Raises:
        IsADirectoryError: it is a folder.
    """
    place = storage.join(folder, REPORT_FILE) if out is None else fspath(out)
    system, inner = storage.filesystem(place)
    if system.isdir(inner):
        example = storage.join(place, REPORT_FILE)
        raise IsADirectoryError(f"{place} is a folder; give the file to write, such as {example}")
    return place


def write_page(page: Page, place: str, folder: str) -> str | None:
    """Write a page, and make it and its pictures artifacts of the MLflow run of a folder.

    Args:
        page: with the pictures, which become PNG files.
        place: the HTML file, local or any fsspec URL.
        folder: of a model or a sweep, local or any fsspec URL.

    Returns:
        Id of the run; None where the folder has none, or MLflow could not be reached, of which a warning tells.
    """
    html = page.to_html().encode()
    storage.write_bytes(place, html)
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
