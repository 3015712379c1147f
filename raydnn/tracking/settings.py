"""What a user can choose about MLflow tracking."""

from dataclasses import dataclass

__all__ = ["MLflowSettings"]


@dataclass(frozen=True, kw_only=True)
class MLflowSettings:
    """Where and under which names MLflow records a run.

    Raises:
        ValueError: a name or the tracking URI is an empty string.
    """

    tracking_uri: str | None = None
    """MLflow's store: `http://host:port`, a database URI. None: where the model_dir's run already is, else
    `<model_dir>/mlflow.db` (SQLite) with artifacts in `<model_dir>/mlartifacts`."""

    experiment: str = "raydnn"
    """Name of the experiment; made if missing."""

    run_name: str | None = None
    """Name shown for the run. None: the name of the model_dir folder."""

    registered_model_name: str | None = None
    """Name in the model registry that each logged export becomes a new version of. None: not registered."""

    def __post_init__(self) -> None:
        names = ("tracking_uri", "experiment", "run_name", "registered_model_name")
        empty = [name for name in names if getattr(self, name) == ""]
        if empty:
            raise ValueError(f"MLflowSettings: empty string for {', '.join(empty)}; leave it out for the default")
