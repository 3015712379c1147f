"""The command `raydnn report`."""

from dataclasses import asdict
from typing import Annotated

import typer

import raydnn
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Checkpoint, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import output_of


def report(
    place: Annotated[str, typer.Argument(metavar="RUN", help="The run file, or the model_dir that it was trained in.")],
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The HTML file; report.html in model_dir if left out.")
    ] = None,
    slices: Annotated[
        str | None, typer.Option(help="Columns whose values make slices, joined by commas; some with few if left out.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows are scored, spread evenly over all.")] = 200_000,
    checkpoint: Checkpoint = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Write a report of a trained model: one HTML file that needs no network.

    It scores rows of data.eval, or without these of data.train, and shows how good the model is, where it fails, and
    how it was trained. If MLflow tracks the run, the report and its pictures become artifacts of it.

    Example: raydnn report runs/flights/model --slices carrier,origin
    """
    with output_of("report", as_json, debug, log_format) as output:
        path, settings = runs.run_file_of(place)
        run = runs.load_run(path, overrides, **settings)
        columns = None if slices is None else [name.strip() for name in slices.split(",")]
        runs.trained(run, checkpoint)
        places = raydnn.report.write_report(run, out, slices=columns, max_rows=rows, checkpoint=checkpoint)
        output.add(**asdict(places))
        output.show(runs.metrics_table(f"{places.rows:,} rows of {places.scored}", places.metrics))
        output.show(f"report  {places.report}")
        if places.mlflow_run is not None:
            output.show(f"MLflow  run {places.mlflow_run}, artifacts under report/")
