"""The command `raydnn init`."""

from importlib import import_module
from typing import Annotated

import typer

import raydnn
from raydnn import storage
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs
from raydnn.cli.output import output_of
from raydnn.errors import ConfigError


def init(
    data: Annotated[str, typer.Argument(help="Rows to train on: Parquet or CSV files, or a Delta table; any URL.")],
    label: Annotated[str, typer.Option(help="The column with the labels.")],
    weight: Annotated[str | None, typer.Option(help="The column that multiplies the loss of each row.")] = None,
    eval_data: Annotated[str | None, typer.Option("--eval", metavar="DATA", help="Rows to evaluate on.")] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="Of DATA, where its name does not end in it.")
    ] = None,
    out: Annotated[str, typer.Option(help="The file to write.")] = "run.yaml",
    force: Annotated[bool, typer.Option("--force", help="Write the file although it is there already.")] = False,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Write a first run for some data, with a reason behind each feature.

    Example: raydnn init data/train.csv --label late
    """
    with output_of("init", as_json, debug, log_format) as output:
        if storage.exists(out) and not force:
            raise ConfigError(f"{out} is there already; choose another --out, or write over it with --force")
        # By name: these load torch.
        profiling, drafting = import_module("raydnn.config.profiling"), import_module("raydnn.config.draft")
        source = profiling.input_of(data, file_format)
        if eval_data is not None:
            profiling.input_of(eval_data, file_format)
        profile = profiling.profile_input(source)
        text = drafting.draft(drafting.DraftOf(data, label, weight, eval_data, file_format), profile)
        run = raydnn.config.loads(text, name=out)
        storage.write_bytes(out, text.encode())
        others = len(profile.columns) - (1 if weight is None else 2)
        output.add(run=out, rows=profile.rows, columns=others, features=list(run.features))
        output.show(
            f"{out}: {len(run.features)} features of {others} columns, {profile.rows:,} rows",
            f"next: raydnn check {out}",
        )
