"""The command `raydnn inspect`."""

from dataclasses import asdict
from typing import Any

from rich.filesize import decimal
from rich.table import Column, Table

import raydnn
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Debug, LogFormat, ModelDir
from raydnn.cli.output import output_of


def inspect(model_dir: ModelDir, as_json: AsJson = False, debug: Debug = False) -> None:
    """Show the newest checkpoint's variables, all checkpoints, the rows of each epoch, and where the input goes on.

    Example: raydnn inspect runs/flights/model
    """
    with output_of("inspect", as_json, debug, LogFormat.TEXT) as output:
        reader = raydnn.train.load_checkpoint(model_dir)
        manifest = reader.manifest if isinstance(reader, raydnn.train.CheckpointReader) else None
        dtypes = reader.get_variable_to_dtype_map()
        variables: list[dict[str, Any]] = [
            {
                "name": name,
                "shape": shape,
                "dtype": dtypes[name],
                "bytes": raydnn.train.checkpoint.manifest.num_bytes(shape, dtypes[name]),
                "parts": 1 if manifest is None else len(manifest.variables[name].parts),
            }
            for name, shape in sorted(reader.get_variable_to_shape_map().items())
        ]
        total = sum(variable["bytes"] for variable in variables)
        kept = runs.checkpoints(model_dir)
        epochs = raydnn.train.ledger.sums_of_epochs(raydnn.train.read_ledger(model_dir))
        position = None if manifest is None else manifest.input_position
        output.add(
            checkpoint=reader.path,
            global_step=reader.global_step,
            variables=variables,
            total_bytes=total,
            checkpoints=kept,
            ledger=[asdict(epoch) for epoch in epochs],
            input_position=None if position is None else {key: position[key] for key in ("epoch", "batch")},
        )
        table = Table(Column("variable", overflow="fold"), "shape", "dtype", "bytes", "parts", show_footer=True)
        table.title = f"{reader.path} at step {reader.global_step}"
        for variable in variables:
            shape_text = " x ".join(map(str, variable["shape"])) or "scalar"
            cells = (variable["name"], shape_text, variable["dtype"], variable["bytes"], variable["parts"])
            table.add_row(*map(str, cells))
        table.columns[0].footer, table.columns[3].footer = f"total ({decimal(total)})", str(total)
        output.show(table, *(f"checkpoint  {path}" for path in kept))
        if epochs:
            output.show(runs.ledger_table(epochs))
        if position is not None:
            output.show(f"The input goes on at epoch {position['epoch'] + 1}, batch {position['batch'] + 1}.")
