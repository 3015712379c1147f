"""The command `raydnn`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import raydnn

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Estimators for tabular models on PyTorch and Ray.")


@app.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Estimators for tabular models on PyTorch and Ray."""
    if version:
        typer.echo(raydnn.__version__)
        raise typer.Exit


@app.command()
def import_tf(
    checkpoint: Annotated[str, typer.Argument(help="Prefix or folder of a TensorFlow checkpoint, or a SavedModel.")],
    model_dir: Annotated[str, typer.Argument(help="Where it goes.")],
) -> None:
    """Copy a TensorFlow checkpoint into a model_dir, optimizer state included.

    Example: raydnn import-tf old/model.ckpt-1200 new/model
    """
    try:
        typer.echo(raydnn.import_tf_checkpoint(checkpoint, model_dir))
    except raydnn.errors.OpError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def inspect(model_dir: Annotated[str, typer.Argument(help="A model_dir, or the folder of one checkpoint.")]) -> None:
    """Show the variables of the newest checkpoint, and where the input goes on.

    Example: raydnn inspect runs/flights/model
    """
    try:
        reader = raydnn.train.load_checkpoint(model_dir)
    except raydnn.errors.OpError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    table = Table("variable", "shape", "dtype", "parts", title=f"{Path(reader.path)} at step {reader.global_step}")
    dtypes = reader.get_variable_to_dtype_map()
    manifest = reader.manifest if isinstance(reader, raydnn.train.CheckpointReader) else None
    for name, shape in sorted(reader.get_variable_to_shape_map().items()):
        parts = 1 if manifest is None else len(manifest.variables[name].parts)
        table.add_row(name, " x ".join(map(str, shape)) or "scalar", dtypes[name], str(parts))
    Console().print(table)
    if manifest is not None and manifest.input_position is not None:
        position = manifest.input_position
        typer.echo(f"The input goes on at epoch {position['epoch'] + 1}, batch {position['batch'] + 1}.")
