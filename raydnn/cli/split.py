"""The command `raydnn split`."""

from importlib import import_module
from typing import Annotated

import typer

from raydnn import storage
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs
from raydnn.cli.output import output_of


def split(
    data: Annotated[str, typer.Argument(help="CSV or Parquet files; any URL.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="For both parts; it must not be there yet.")],
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="Of the rows that are held out.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same one holds out the same rows.")] = 0,
    file_format: Annotated[
        str | None, typer.Option("--format", help="Of DATA, where its name does not end in it.")
    ] = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Hold out some rows for evaluation: FOLDER gets train.parquet and eval.parquet.

    Rows are drawn alike. Where later rows are to be told from earlier ones, or rows of one person belong together,
    split the data by that instead.

    Example: raydnn split customers.csv --out data
    """
    with output_of("split", as_json, debug, log_format) as output:
        # By name: these load torch.
        parts = import_module("raydnn.config.hold_out")
        source = import_module("raydnn.config.profiling").input_of(data, file_format)
        kept, held_out = parts.hold_out(source, out, share, seed)
        train, evaluation = storage.join(out, parts.KEPT), storage.join(out, parts.HELD_OUT)
        output.add(train=train, eval=evaluation, train_rows=kept, eval_rows=held_out)
        output.show(
            f"{kept:,} rows to train on     {train}",
            f"{held_out:,} rows to evaluate on  {evaluation}",
            f"next: raydnn init {train} --eval {evaluation} --label COLUMN",
        )
