"""The command `raydnn evaluate`."""

from typing import Annotated

import typer

from raydnn.cli import runs
from raydnn.cli.options import AsJson, Checkpoint, Debug, LogFormat, Logs, Overrides, RunFile
from raydnn.cli.output import output_of


def evaluate(
    run_file: RunFile,
    checkpoint: Checkpoint = None,
    name: Annotated[str | None, typer.Option(help="Of the evaluation; that of the run if left out.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Compute the metrics of a trained model on the rows of data.eval.

    Example: raydnn evaluate run.yaml --checkpoint runs/flights/model/model.ckpt-500 --set data.eval=june.parquet
    """
    with output_of("evaluate", as_json, debug, log_format) as output:
        run = runs.load_run(run_file, overrides)
        rows = run.eval_input()
        estimator = runs.trained(run, checkpoint)
        name = name or run.eval.name
        metrics = estimator.evaluate(rows, run.eval.steps, checkpoint_path=checkpoint, name=name)
        output.add(model_dir=estimator.model_dir, name=name, metrics=metrics)
        output.show(runs.metrics_table(f"Evaluation{f' {name}' if name else ''}", metrics))
