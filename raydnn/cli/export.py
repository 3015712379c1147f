"""The command `raydnn export`."""

from enum import StrEnum
from typing import Annotated

import typer

import raydnn
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Checkpoint, Debug, LogFormat, Logs, Overrides, RunFile
from raydnn.cli.output import output_of


class Receiver(StrEnum):
    """What a request to an exported model carries."""

    RAW = "raw"
    PARSING = "parsing"


def export(
    run_file: RunFile,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="In which a folder named by the time is made.")],
    receiver: Annotated[
        Receiver, typer.Option(help="raw: the features themselves; parsing: serialized tf.Examples.")
    ] = Receiver.RAW,
    checkpoint: Checkpoint = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Export a trained model for serving.

    Example: raydnn export run.yaml --out exports --receiver parsing
    """
    with output_of("export", as_json, debug, log_format) as output:
        run = runs.load_run(run_file, overrides)
        estimator = runs.trained(run, checkpoint)
        spec = raydnn.feature_column.make_parse_example_spec(run.feature_columns())
        builders = raydnn.estimator.export
        if receiver is Receiver.RAW:
            receiver_fn = builders.build_raw_serving_input_receiver_fn(spec)
        else:
            receiver_fn = builders.build_parsing_serving_input_receiver_fn(spec)
        path = estimator.export_saved_model(out, receiver_fn, checkpoint_path=checkpoint).decode()
        output.add(model_dir=estimator.model_dir, export=path)
        output.show(path)
