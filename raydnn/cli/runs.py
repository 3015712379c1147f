"""The run that a command is about, and where what it makes lies."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

import raydnn
from raydnn import storage
from raydnn.errors import ConfigError

if TYPE_CHECKING:
    from raydnn.config import Run


def load_run(path: str, overrides: Sequence[str] | None, **settings: Any) -> "Run":
    """The run of a file.

    Args:
        path: of the file.
        overrides: texts such as 'model.dropout=0.1'.
        settings: of the section run, unless an override sets them.

    Raises:
        ConfigError: there is no such file, or what it declares cannot be.
    """
    given = {f"run.{name}": value for name, value in settings.items()}
    try:
        return raydnn.config.load(path, given | raydnn.config.parse_overrides(overrides or ()))
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error


def run_file_of(place: str) -> tuple[str, dict[str, str]]:
    """The run file that a path means.

    Args:
        place: a run file, or a model_dir that `raydnn train` has written it into.

    Returns:
        Its path, and the settings that lead back to that model_dir, wherever it was when it was trained.

    Raises:
        ConfigError: it is a folder without a run file.
    """
    inside = storage.join(place, raydnn.config.run.RUN_FILE)
    if storage.exists(inside):
        return inside, {"model_dir": place}
    system, path = storage.filesystem(place)
    if system.isdir(path):
        name = raydnn.config.run.RUN_FILE
        raise ConfigError(f"{place} holds no {name}, which raydnn train writes; give the run file instead")
    return place, {}


def trained(run: "Run", checkpoint: str | None) -> "raydnn.DNNClassifier":
    """The classifier of a run that was trained.

    Args:
        run: whose classifier.
        checkpoint: that is asked for, or None.

    Raises:
        ConfigError: the run has no model_dir.
        ValueError: the model has no checkpoint.
    """
    if run.run_config().model_dir is None:
        raise ConfigError("run.model_dir is not given; add the folder of the trained model to the run")
    estimator = run.estimator()
    if checkpoint is None and estimator.latest_checkpoint() is None:
        raise ValueError(f"there is no checkpoint in {estimator.model_dir}; train the model first: raydnn train")
    return estimator


def checkpoints(model_dir: str) -> list[str]:
    """The paths of the checkpoints that model_dir keeps, oldest first."""
    return [storage.join(model_dir, name) for name in raydnn.train.checkpoint.state.read_state(model_dir)]


def exports(model_dir: str) -> list[str]:
    """The paths of the exports that exporters have made and kept."""
    folders = [storage.join(model_dir, "export", name) for name in storage.list_folder(f"{model_dir}/export")]
    return [
        storage.join(folder, name)
        for folder in folders
        for name in storage.list_folder(folder)
        if re.fullmatch(r"\d{10}", name)
    ]


def mlflow_line(folder: str, tracking_uri: str | None) -> str:
    """How to look at what MLflow has of a model_dir or a sweep.

    Args:
        folder: which has the database unless a URI is given.
        tracking_uri: of the settings.
    """
    store = tracking_uri or f"sqlite:///{folder}/mlflow.db"
    is_server = store.startswith(("http://", "https://"))
    return f"MLflow       {store if is_server else f'mlflow ui --backend-store-uri {store}'}"


def ledger_table(epochs: Sequence["raydnn.train.LedgerEntry"]) -> Table:
    """What became of the rows of epochs, for people."""
    names = ["call from step", "epoch", "steps", "read", "dropped", "trained on", "workers saw"]
    has_weights = any(epoch.weight is not None for epoch in epochs)
    table = Table(*names, *(["weight", "of weight 0"] if has_weights else []), title="Rows")
    for epoch in epochs:
        dropped = [f"{rows:,} {reason}" for reason, rows in epoch.dropped.items() if rows]
        cells = [
            str(epoch.call_start_step),
            str(epoch.epoch + 1),
            f"{epoch.first_step} to {epoch.last_step}",
            f"{epoch.read:,}",
            "; ".join(dropped) or "0",
            f"{epoch.rows:,}",
            ", ".join(f"{rows:,}" for rows in epoch.workers),
        ]
        if has_weights:
            cells += ["" if epoch.weight is None else f"{epoch.weight:,.7g}", str(epoch.zero_weight_rows or 0)]
        table.add_row(*cells)
    return table


def metrics_table(title: str, metrics: Mapping[str, Any]) -> Table:
    """Metrics for people."""
    table = Table("metric", "value", title=title)
    for name in sorted(metrics):
        value = metrics[name]
        table.add_row(name, str(value) if name == "global_step" else f"{float(value):.6g}")
    return table
