"""The sections `run`, `eval` and `exporters`: how a run goes, when it is evaluated and what is exported."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, Tag

from raydnn.config.arguments import Arguments, arguments_model, one_of
from raydnn.config.section import (
    LIST,
    SHORT,
    NotNegative,
    PositiveInt,
    Section,
    Text,
    short_or,
    short_or_list,
    tag_of,
)
from raydnn.estimator import BestExporter, Exporter, FinalExporter, LatestExporter, RunConfig
from raydnn.inputs.ordered_map import Engine
from raydnn.tracking.settings import MLflowSettings

_MLflow: Any = arguments_model(
    "MLflow",
    MLflowSettings,
    doc="Where and under which names MLflow records the run.",
)
_Workers = Annotated[
    Annotated[PositiveInt, Tag(SHORT)] | Annotated[list[PositiveInt], Field(min_length=2, max_length=2), Tag(LIST)],
    short_or_list(),
]
_Tracking = Annotated[
    Annotated[Literal["mlflow"], Tag(SHORT)] | Annotated[_MLflow, Tag(tag_of("MLflow"))], short_or("MLflow")
]


def _run_config(**arguments: Any) -> RunConfig:
    """A RunConfig, whose pair of workers is a tuple."""
    workers = arguments.get("num_workers")
    return RunConfig(**arguments | ({"num_workers": tuple(workers)} if isinstance(workers, list) else {}))


if TYPE_CHECKING:
    RunSettings = Arguments
else:
    RunSettings = arguments_model(
        "RunSettings",
        RunConfig,
        doc="How, where and with how many workers the run goes: the arguments of RunConfig.",
        target=_run_config,
        # What cannot be written, or must be null.
        leave_out=(
            "session_config",
            "train_distribute",
            "device_fn",
            "eval_distribute",
            "experimental_distribute",
        ),
        types={
            "num_workers": (_Workers | None, None),
            "tracking": (_Tracking | None, None),
            "input_engine": (Literal["auto", *get_args(Engine)], "auto"),
        },
    )


class Evaluation(Section):
    """How long to train, and when and how to evaluate: the arguments of EvalSpec, and max_steps of TrainSpec."""

    steps: PositiveInt | None = None
    """Batches of an evaluation; null goes to the end of the rows."""
    name: Text | None = None
    """Of the evaluation, if there are several."""
    start_delay_secs: NotNegative = 120
    """Seconds before the first evaluation of a process that only evaluates."""
    throttle_secs: NotNegative = 600
    """Seconds between the starts of two evaluations, at least."""
    max_steps: PositiveInt | None = None
    """Global step at which training stops; null goes to the end of its rows."""


def _exporter_model(kind: str, source: Callable[..., Exporter]) -> type[Arguments]:
    return arguments_model(
        source.__name__,
        source,
        leave_out=("serving_input_receiver_fn", "compare_fn"),
        own_keys={
            "kind": (Literal[kind], Field(description="which exporter")),
            "receiver": (
                Literal["raw", "parsing"],
                Field("raw", description="what a request carries: the features themselves, or serialized tf.Examples"),
            ),
        },
        types={"name": (Text, "best_exporter")} if kind == "best" else {"name": Text},
        example={"serving_input_receiver_fn": None},
    )


ExporterSettings: Any = one_of(
    "kind",
    {
        "best": _exporter_model("best", BestExporter),
        "final": _exporter_model("final", FinalExporter),
        "latest": _exporter_model("latest", LatestExporter),
    },
)
