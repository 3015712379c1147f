"""The report of a sweep: made of its folder alone, of one that runs or was resumed as of one that has ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike, fspath

from raydnn import storage
from raydnn.errors import ConfigError
from raydnn.report.output import place_of, write_page
from raydnn.report.page import Page, Section
from raydnn.report.text import moment
from raydnn.tune import report_sections as sections
from raydnn.tune.record import SWEEP_FILE, SweepRecord
from raydnn.tune.report_material import SweepMaterial
from raydnn.tune.result import STATUSES
from raydnn.tune.winner import read_winner

SECTIONS: tuple[Callable[[SweepMaterial], Section | None], ...] = (
    sections.summary,
    sections.winner,
    sections.front,
    sections.trials,
    sections.coordinates,
    sections.curves,
    sections.importance,
    sections.cost,
    sections.configuration,
)


@dataclass(frozen=True)
class SweepReportPlaces:
    """What was written, and where.

    Attributes:
        report: path or URL of the HTML file.
        mlflow_run: id of the sweep's MLflow run, which has the report and its pictures among its artifacts, under
            'report'; None where the sweep is not tracked, or MLflow could not be reached.
        trials: how many there are.
        best: number of the best one, or None.
        sections: ids of the sections.
        charts: names of the charts.
    """

    report: str
    mlflow_run: str | None
    trials: int
    best: int | None
    sections: tuple[str, ...]
    charts: tuple[str, ...]


def write_sweep_report(folder: str | PathLike[str], out: str | PathLike[str] | None = None) -> SweepReportPlaces:
    """Write the report of a sweep, which may still run.

    Where MLflow tracks the sweep, the report and its pictures become artifacts of the sweep's run.

    Args:
        folder: of the sweep.
        out: the HTML file, local or any fsspec URL; None takes report.html in the folder.

    Raises:
        ConfigError: no sweep has begun in the folder, or none that can be understood.
        IsADirectoryError: out is a folder.
    """
    folder = storage.absolute(fspath(folder))
    try:
        record = SweepRecord.read(folder)
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no {SWEEP_FILE}, which raydnn tune writes; give a sweep's folder") from error
    result = replace(record.result, winner=read_winner(folder))
    material = SweepMaterial(record.sweep, result, record.updated)
    place = place_of(folder, out)
    page = sweep_page(material)
    best = material.result.best
    return SweepReportPlaces(
        report=place,
        mlflow_run=write_page(page, place, folder),
        trials=len(material.result.trials),
        best=None if best is None else best.number,
        sections=tuple(section.id for section in page.sections),
        charts=tuple(chart.name for chart in page.charts),
    )


def sweep_page(material: SweepMaterial) -> Page:
    """The report as a page."""
    result = material.result
    counts = ", ".join(f"{result.count(status)} {status}" for status in STATUSES if result.count(status))
    when = f" · as of {moment(material.updated)}" if material.updated else ""
    subtitle = f"{result.folder} · {len(result.trials)} trials: {counts or 'none has begun'}{when}"
    made = [make(material) for make in SECTIONS]
    return Page(f"Report of the sweep {material.sweep.name}", subtitle, [each for each in made if each is not None])
