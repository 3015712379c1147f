"""The report of a run: its material gathered, its sections put together, written, and logged with MLflow."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

from raydnn import storage
from raydnn.config import Run
from raydnn.config.checks import findings, vocabulary_words
from raydnn.config.machine import memory_bytes
from raydnn.config.profiling import profile_input
from raydnn.config.sampling import sample_rows
from raydnn.errors import ConfigError, DataLossError, NotFoundError
from raydnn.model.heads import classification_head
from raydnn.report.history import read_history
from raydnn.report.importance import column_groups, importances
from raydnn.report.material import Material
from raydnn.report.output import place_of, write_page
from raydnn.report.page import Page, Section
from raydnn.report.scored import Scorer
from raydnn.report.sections import course, data, features, overview, quality
from raydnn.report.slices import default_columns, slice_rows
from raydnn.report.text import moment
from raydnn.train.checkpoint import CheckpointReader, open_newest
from raydnn.train.checkpoint.state import read_state
from raydnn.train.ledger import read_ledger

logger = logging.getLogger(__name__)

MAX_ROWS = 200_000

SECTIONS: tuple[Callable[[Material], Section], ...] = (
    overview.summary,
    overview.findings,
    data.data_summary,
    data.row_ledger,
    course.learning_curves,
    quality.discrimination,
    quality.calibration_section,
    quality.decisions,
    features.slices,
    features.importance,
    features.worst_rows,
    data.train_against_eval,
    course.run_section,
    course.configuration,
)


@dataclass(frozen=True)
class ReportPlaces:
    """What was written, and where.

    Attributes:
        report: path or URL of the HTML file.
        mlflow_run: id of the MLflow run that has the report and its pictures among its artifacts, under 'report'; None
            where the run is not tracked, or MLflow could not be reached.
        checkpoint: path of the checkpoint that the rows were scored with.
        rows: how many were scored.
        scored: where they come from, 'data.eval' or 'data.train'.
        metrics: name -> value of the numbers that matter most.
        sections: ids of the sections.
        charts: names of the charts.
    """

    report: str
    mlflow_run: str | None
    checkpoint: str
    rows: int
    scored: str
    metrics: Mapping[str, float]
    sections: tuple[str, ...]
    charts: tuple[str, ...]


def write_report(
    run: Run,
    out: str | PathLike[str] | None = None,
    *,
    slices: Sequence[str] | None = None,
    max_rows: int = MAX_ROWS,
    checkpoint: str | None = None,
) -> ReportPlaces:
    """Write the report of a run that was trained.

    Reads all rows of data.train and data.eval once, and scores rows of data.eval, or without these of data.train. Where
    the run is tracked, the report and its pictures become artifacts of the MLflow run.

    Args:
        run: of which model_dir is given.
        out: the HTML file, local or any fsspec URL; None takes model_dir/report.html.
        slices: columns whose values make slices; None takes up to 6 with few values.
        max_rows: how many rows are scored; of more as many are taken, spread evenly over all.
        checkpoint: path of the checkpoint; None takes the newest.

    Raises:
        ConfigError: the run has no model_dir, or its data cannot be read.
        ValueError: there is no checkpoint, max_rows is not positive, a column of slices is not there or holds lists, or
            rows do not fit the model.
        IsADirectoryError: out is a folder.
        DataLossError: a damaged checkpoint.
    """
    config = run.run_config()
    if config.model_dir is None:
        raise ConfigError("run.model_dir is not given; add the folder of the trained model to the run")
    if max_rows < 1:
        raise ValueError(f"max_rows must be positive; got {max_rows}")
    model_dir = config.model_dir
    place = place_of(model_dir, out)
    material = _gather(run, model_dir, _reader(model_dir, checkpoint, config.recover), slices, max_rows)
    reader = material.checkpoint
    logger.info("Drawing the report")
    sections = [make(material) for make in SECTIONS]
    name = "/".join(model_dir.rstrip("/").split("/")[-2:])
    subtitle = f"{model_dir} · global step {reader.global_step:,} · saved {moment(reader.manifest.saved_at)}"
    page = Page(f"Report of {name}", subtitle, sections)
    return ReportPlaces(
        report=place,
        mlflow_run=write_page(page, place, model_dir),
        checkpoint=reader.path,
        rows=material.scored.rows,
        scored=material.source,
        metrics=material.metrics,
        sections=tuple(section.id for section in sections),
        charts=tuple(chart.name for chart in page.charts),
    )


def _reader(model_dir: str, checkpoint: str | None, recover: bool) -> CheckpointReader:
    if checkpoint is not None:
        try:
            return CheckpointReader(checkpoint)
        except NotFoundError as error:
            raise ValueError(f"checkpoint: {error}") from error
    newest = open_newest(model_dir, recover=recover)
    if newest is None:
        raise ValueError(f"there is no checkpoint in {model_dir}; train the model first: raydnn train")
    return newest


def _gather(
    run: Run, model_dir: str, reader: CheckpointReader, slices: Sequence[str] | None, max_rows: int
) -> Material:
    watched = vocabulary_words(run)
    logger.info("Reading the rows of the run")
    train = profile_input(run.train_input(), watched)
    evaluation = None if run.data.eval is None else profile_input(run.eval_input(), watched)
    source, profile = (run.train_input(), train) if evaluation is None else (run.eval_input(), evaluation)
    rows = sample_rows(source, profile.rows, max_rows)
    head = classification_head(run.model.n_classes, run.model.label_vocabulary, "weighted_sum")
    scorer = Scorer(run.estimator(), head, run.data.label, run.data.weight, reader.path)
    logger.info("Scoring %d rows", rows.num_rows)
    scored = scorer.score(rows)
    # Before the longest part, so that a column that is not there shows at once.
    asked = None if slices is None else {column: slice_rows(scored, column) for column in slices}
    groups = column_groups(run.feature_columns())
    logger.info("Finding how important %d columns are", len(groups))
    important = importances(scorer, scored, groups)
    chosen = default_columns(scored, important) if asked is None else []
    return Material(
        run=run,
        model_dir=model_dir,
        checkpoint=reader,
        kept=_kept(model_dir),
        train=train,
        evaluation=evaluation,
        findings=findings(run, train, evaluation, memory_bytes()),
        scored=scored,
        total_rows=profile.rows,
        slices=asked or {column: slice_rows(scored, column) for column in chosen},
        importances=important,
        history=read_history(model_dir),
        ledger=read_ledger(model_dir),
    )


def _kept(model_dir: str) -> list[CheckpointReader]:
    """The checkpoints of the state file that can be read."""
    found = []
    for name in read_state(model_dir):
        try:
            found.append(CheckpointReader(storage.join(model_dir, name)))
        except (NotFoundError, DataLossError) as error:
            logger.warning("A checkpoint is left out of the report: %s", error)
    return found
