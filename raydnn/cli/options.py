"""Arguments and options that several commands have."""

from enum import StrEnum
from typing import Annotated

import typer


class LogFormat(StrEnum):
    """How log records are written to standard error."""

    TEXT = "text"
    JSON = "json"


RunFile = Annotated[str, typer.Argument(metavar="RUN.yaml", help="The run; a path or any fsspec URL.")]
ModelDir = Annotated[str, typer.Argument(help="A model_dir, or the folder of one checkpoint.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Takes the place of a value of the file; may be given often."),
]
Checkpoint = Annotated[str | None, typer.Option(help="Folder of a checkpoint; the newest of model_dir if left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write exactly one JSON object to standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Logs = Annotated[LogFormat, typer.Option("--log-format", help="Of the log records on standard error.")]
