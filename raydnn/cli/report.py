"""The command `raydnn report`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

import raydnn
from raydnn import storage
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Checkpoint, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import Output, output_of
from raydnn.errors import ConfigError

ROWS = 200_000
SWEEP_FILE = "sweep.json"
"""In the folder of a sweep, and in no model_dir."""


def report(
    place: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="The run file, the model_dir that it was trained in, or the folder of a sweep."
        ),
    ],
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The HTML file; report.html in the folder if left out.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Columns whose values make slices, joined by commas; some with few if left out.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows are scored, spread evenly over all.")] = ROWS,
    checkpoint: Checkpoint = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Write a report of a trained model, or of a sweep: one HTML file that needs no network.

    It scores rows of data.eval, or without these of data.train, and shows how good the model is, where it fails, and
    how it was trained. That of a sweep compares its trials, even while they run, and takes no option but --out. If
    MLflow tracks the run or the sweep, the report and its pictures become artifacts of it.

    Example: raydnn report runs/flights/model --slices carrier,origin
    """
    with output_of("report", as_json, debug, log_format) as output:
        if storage.exists(storage.join(place, SWEEP_FILE)):
            given = {"--slices": slices, "--rows": rows != ROWS, "--checkpoint": checkpoint, "--set": overrides}
            _report_sweep(output, place, out, given)
            return
        path, settings = runs.run_file_of(place)
        run = runs.load_run(path, overrides, **settings)
        columns = None if slices is None else [name.strip() for name in slices.split(",")]
        places = raydnn.report.write_report(run, out, slices=columns, max_rows=rows, checkpoint=checkpoint)
        output.add(**asdict(places))
        output.show(runs.metrics_table(f"{places.rows:,} rows of {places.scored}", places.metrics))
        output.show(f"report  {places.report}")
        if places.mlflow_run is not None:
            output.show(f"MLflow  run {places.mlflow_run}, artifacts under report/")


def _report_sweep(output: Output, folder: str, out: str | None, options: Mapping[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{folder} is the folder of a sweep, whose report takes no {', '.join(given)}; leave it out")
    places = raydnn.tune.write_sweep_report(folder, out)
    output.add(**asdict(places))
    best = "no trial was evaluated" if places.best is None else f"the best is trial {places.best}"
    output.show(f"trials  {places.trials}; {best}", f"report  {places.report}")
    if places.mlflow_run is not None:
        output.show(f"MLflow  run {places.mlflow_run}, artifacts under report/")
