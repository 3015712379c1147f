"""The command `raydnn`."""

from typing import Annotated

import typer

import raydnn
from raydnn.cli.check import check
from raydnn.cli.doctor import doctor
from raydnn.cli.evaluate import evaluate
from raydnn.cli.export import export
from raydnn.cli.import_tf import import_tf
from raydnn.cli.init import init
from raydnn.cli.inspect import inspect
from raydnn.cli.k8s import k8s
from raydnn.cli.predict import predict
from raydnn.cli.report import report
from raydnn.cli.split import split
from raydnn.cli.train import train
from raydnn.cli.tune import tune

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Estimators for tabular models on PyTorch and Ray.

    Exit codes: 0 done; 1 the run failed; 2 wrong usage or configuration; 130 stopped by Ctrl-C, 143 by SIGTERM.

    Example: raydnn train run.yaml --set model.dropout=0.1
    """
    if version:
        typer.echo(raydnn.__version__)
        raise typer.Exit


for command in (split, init, check, train, tune, evaluate, predict, report, export, inspect, import_tf, doctor):
    app.command()(command)
app.add_typer(k8s, name="k8s")
