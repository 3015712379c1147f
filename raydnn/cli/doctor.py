"""The command `raydnn doctor`."""

from dataclasses import asdict
from typing import Annotated

import typer

from raydnn.cli import runs
from raydnn.cli.checks import all_checks
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import FAILED, output_of


def doctor(
    run_file: Annotated[str | None, typer.Argument(metavar="[RUN.yaml]", help="A run to look at too.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Look for what may hinder a run: versions, Ray, CPUs, GPUs, model_dir, MLflow.

    Each line says ok, warning or failed, and what to do; if something has failed, the exit code is 1.

    Example: raydnn doctor run.yaml --set run.num_workers=8
    """
    with output_of("doctor", as_json, debug, log_format) as output:
        run = None if run_file is None else runs.load_run(run_file, overrides)
        found = []
        for check in all_checks(run):
            found.append(check)
            output.show(f"{check.status:8} {check.name}: {check.detail}")
            if check.way_out:
                output.show(f"         -> {check.way_out}")
        output.add(checks=[asdict(check) for check in found])
        if any(check.status == "failed" for check in found):
            output.exit_code = FAILED
            output.add(status="failed")
