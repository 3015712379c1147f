"""The command `raydnn predict`."""

from importlib import import_module
from typing import Annotated

import typer

from raydnn.cli import runs
from raydnn.cli.options import AsJson, Checkpoint, Debug, LogFormat, Logs, Overrides, RunFile
from raydnn.cli.output import output_of


def predict(
    run_file: RunFile,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where Parquet files go; it must not be there yet.")],
    keys: Annotated[str | None, typer.Option(help="Which predictions, joined by commas; all if left out.")] = None,
    checkpoint: Checkpoint = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray actors that predict; run.num_evaluators if left out.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="What the names of the added columns begin with.")] = "",
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Write the rows of data.predict with the predictions as further columns.

    They stream through this process, or with workers, and where only Ray Data reads, through Ray actors: there may be
    any number of them.

    Example: raydnn predict run.yaml --out predicted --keys probabilities,class_ids
    """
    with output_of("predict", as_json, debug, log_format) as output:
        run = runs.load_run(run_file, overrides)
        rows, given = run.predict_input(), run.data.files("predict")
        estimator = runs.trained(run, checkpoint)
        # By name: it brings in Arrow and torch, which the help of the commands does without.
        module = import_module("raydnn.cli.predicted_files")
        files = module.PredictedFiles(
            rows=rows,
            estimator=estimator,
            keys=[key.strip() for key in keys.split(",")] if keys else None,
            checkpoint=checkpoint,
            batch_size=(given.batch_size if given is not None else None) or module.BATCH_ROWS,
            workers=workers or run.run_config().num_evaluators,
            prefix=prefix,
        )
        num_rows = files.write(out)
        output.add(out=out, rows=num_rows)
        output.show(f"{num_rows:,} rows are in {out}")
