"""The command `raydnn import-tf`."""

from typing import Annotated

import typer

import raydnn
from raydnn.cli.options import AsJson, Debug, LogFormat
from raydnn.cli.output import output_of


def import_tf(
    checkpoint: Annotated[str, typer.Argument(help="Prefix or folder of a TensorFlow checkpoint, or a SavedModel.")],
    model_dir: Annotated[str, typer.Argument(help="Where it goes.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Copy a TensorFlow checkpoint into a model_dir, optimizer state included.

    Example: raydnn import-tf old/model.ckpt-1200 new/model
    """
    with output_of("import-tf", as_json, debug, LogFormat.TEXT) as output:
        path = raydnn.import_tf_checkpoint(checkpoint, model_dir)
        output.add(model_dir=model_dir, checkpoint=path)
        output.show(path)
