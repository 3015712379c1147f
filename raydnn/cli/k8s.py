"""The commands `raydnn k8s render` and `raydnn k8s submit`."""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer

import raydnn
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides
from raydnn.cli.output import output_of
from raydnn.errors import ConfigError

k8s = typer.Typer(no_args_is_help=True, help="Kubernetes: the manifests of a run or sweep for KubeRay.")

File = Annotated[str, typer.Argument(metavar="RUN.yaml", help="A run, or a sweep; a path or any fsspec URL.")]
Overlay = Annotated[str | None, typer.Option(metavar="dev|prod", help="Of k8s/overlays; none if left out.")]
Components = Annotated[
    list[str] | None, typer.Option("--component", help="Of k8s/components, such as kueue; may be given often.")
]
Image = Annotated[str | None, typer.Option(help="Of all pods, with its tag; that of k8s/ if left out.")]
Namespace = Annotated[str | None, typer.Option(help="Of all manifests; that of the overlay if left out.")]
Name = Annotated[str | None, typer.Option(help="Of the job; that of the file if left out.")]


@k8s.command()
def render(
    file: File,
    overlay: Overlay = None,
    component: Components = None,
    image: Image = None,
    namespace: Namespace = None,
    name: Name = None,
    overrides: Overrides = None,
    debug: Debug = False,
    log_format: Logs = LogFormat.TEXT,
) -> None:
    """Print the complete manifests of a run or sweep, with pods as large as its model needs.

    Example: raydnn k8s render run.yaml --overlay prod --image registry.example.com/raydnn:1 > run-on-kuberay.yaml
    """
    with output_of("k8s render", False, debug, log_format):
        sys.stdout.write(_rendered(file, overrides, name, overlay, component, image, namespace))


@k8s.command()
def submit(
    file: File,
    overlay: Overlay = None,
    component: Components = None,
    image: Image = None,
    namespace: Namespace = None,
    name: Name = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    debug: Debug = False,
    log_format: Logs = LogFormat.TEXT,
) -> None:
    """Give the manifests of a run or sweep to Kubernetes, with kubectl and where its context points.

    Example: raydnn k8s submit run.yaml --overlay dev --set run.num_workers=8
    """
    with output_of("k8s submit", as_json, debug, log_format) as output:
        text = _rendered(file, overrides, name, overlay, component, image, namespace)
        told = import_module("raydnn.k8s.kubectl").apply(text)
        output.add(applied=told.splitlines())
        output.show(told)


def _rendered(
    file: str,
    overrides: list[str] | None,
    name: str | None,
    overlay: str | None,
    components: list[str] | None,
    image: str | None,
    namespace: str | None,
) -> str:
    # By name: these load torch.
    manifests = import_module("raydnn.k8s.manifests")
    place = manifests.Place(overlay=overlay, components=components or (), image=image, namespace=namespace)
    return str(manifests.to_yaml(manifests.render(_job(file, overrides, name), place)))


def _job(file: str, overrides: list[str] | None, name: str | None) -> Any:
    """The job of a run or a sweep."""
    sweeps = import_module("raydnn.k8s.sweep_in_cluster")
    job_name = import_module("raydnn.k8s.job").job_name
    try:
        is_sweep = sweeps.is_sweep(file)
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    if is_sweep:
        sweep = raydnn.tune.load(file, raydnn.config.parse_overrides(overrides or ()))
        return sweeps.job_of_sweep(sweep, job_name(file, name))
    run = runs.load_run(file, overrides)
    return import_module("raydnn.k8s.run_in_cluster").job_of_run(run, job_name(file, name))
