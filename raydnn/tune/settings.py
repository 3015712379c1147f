"""What a sweep's YAML declares: searchers, schedulers, budget and trials, with all their arguments.

docs/sweep.schema.json is the JSON Schema of its keys, for editors. This writes it anew:

    python -c "import json, raydnn.tune as t; print(json.dumps(t.SweepSettings.model_json_schema(), indent=2))" \\
        > docs/sweep.schema.json
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, Tag, WithJsonSchema

from raydnn.config.arguments import arguments_model, one_of
from raydnn.config.section import (
    LIST,
    SHORT,
    Flag,
    PositiveInt,
    Section,
    Text,
    as_integer,
    as_number,
    refusals,
    short_or,
    short_or_list,
    tag_of,
)
from raydnn.tracking.settings import MLflowSettings
from raydnn.tune.space import Node, SpaceError
from raydnn.tune.space_parser import DISTRIBUTIONS, parse_drawn

_Positive = Annotated[float, Field(gt=0), BeforeValidator(as_number)]
_Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(as_number)]
_Count = Annotated[int, Field(ge=0), BeforeValidator(as_integer)]


class RandomSearch(Section):
    """Draws each configuration by itself, from the sweep's seed."""

    kind: Literal["random"] = "random"
    """Which searcher."""


class GridSearch(Section):
    """Goes through all configurations of a space of choices, in their order."""

    kind: Literal["grid"] = "grid"
    """Which searcher."""


class TpeSampler(Section):
    """Tree-structured Parzen estimators: Optuna's TPESampler."""

    kind: Literal["tpe"] = "tpe"
    """Which sampler."""
    n_startup_trials: _Count = 10
    """Trials that are drawn at random before it begins."""
    n_ei_candidates: PositiveInt = 24
    """Candidates that are weighed against each other for each trial."""
    multivariate: Flag | None = None
    """Whether keys are drawn together; null lets Optuna decide."""
    group: Flag = False
    """Whether keys that are drawn in the same trials are drawn together; needs multivariate."""
    constant_liar: Flag = True
    """Whether to keep away from what is being tried."""


class GpSampler(Section):
    """Bayesian optimization by Gaussian processes: Optuna's GPSampler."""

    kind: Literal["gp"] = "gp"
    """Which sampler."""
    n_startup_trials: _Count = 10
    """Trials that are drawn at random before it begins."""
    deterministic_objective: Flag = False
    """Whether equal configurations give equal metrics."""


class RandomSampler(Section):
    """Draws at random: Optuna's RandomSampler."""

    kind: Literal["random"] = "random"
    """Which sampler."""


class NsgaiiSampler(Section):
    """A genetic algorithm for several metrics: Optuna's NSGAIISampler."""

    kind: Literal["nsgaii"] = "nsgaii"
    """Which sampler."""
    population_size: Annotated[int, Field(ge=2), BeforeValidator(as_integer)] = 50
    """Trials of a generation."""
    mutation_prob: _Share | None = None
    """Probability that a key is drawn anew; null is one key of each trial, on average."""
    crossover_prob: _Share = 0.9
    """Probability that a trial has two parents."""
    swapping_prob: _Share = 0.5
    """Probability that a key is taken from the other parent."""


_SAMPLERS: dict[str, type[Section]] = {
    "tpe": TpeSampler,
    "gp": GpSampler,
    "random": RandomSampler,
    "nsgaii": NsgaiiSampler,
}
_Sampler: Any = one_of("kind", _SAMPLERS, Literal["tpe", "gp", "random", "nsgaii"])


class OptunaSearch(Section):
    """Learns from the trials that have ended which configurations to try; needs Optuna."""

    kind: Literal["optuna"] = "optuna"
    """Which searcher."""
    sampler: _Sampler = "tpe"
    """Name of a sampler, or a mapping of its kind and its arguments."""

    @property
    def sampler_settings(self) -> Section:
        """The sampler with its arguments."""
        return _SAMPLERS[self.sampler]() if isinstance(self.sampler, str) else self.sampler


class NoScheduler(Section):
    """Lets each trial go to its end."""

    kind: Literal["none"] = "none"
    """Which scheduler."""


class Asha(Section):
    """Asynchronous successive halving: only the best trials of each rung go on. Ray Tune's ASHAScheduler."""

    kind: Literal["asha"] = "asha"
    """Which scheduler."""
    max_t: PositiveInt | None = None
    """Steps of the last rung; null takes those of the budget."""
    grace_period: PositiveInt | None = None
    """Steps of the first rung; null takes trials.evaluate_every."""
    reduction_factor: Annotated[float, Field(gt=1), BeforeValidator(as_number)] = 4
    """One of so many trials goes on from a rung."""
    brackets: PositiveInt = 1
    """Brackets, each of which begins a rung later."""
    stop_last_trials: Flag = True
    """Whether a trial ends at max_t."""


class Median(Section):
    """Stops a trial that is worse than the median of the others at its step: Ray Tune's MedianStoppingRule."""

    kind: Literal["median"] = "median"
    """Which scheduler."""
    grace_period: _Count | None = None
    """Steps before which no trial is stopped; null takes trials.evaluate_every."""
    min_samples_required: PositiveInt = 3
    """Trials of which a median is taken, at least."""
    min_time_slice: _Count = 0
    """Steps that a trial makes at least before it waits for others, where there are too few for a median."""
    hard_stop: Flag = True
    """Whether trials are stopped; else they wait until all others have ended."""


class Pbt(Section):
    """Population based training: the worst trials take over weights of the best, with moved values of the keys.

    Ray Tune's PopulationBasedTraining.
    """

    kind: Literal["pbt"] = "pbt"
    """Which scheduler."""
    perturbation_interval: PositiveInt | None = None
    """Steps between two looks at a trial; null takes trials.evaluate_every."""
    burn_in_period: _Count = 0
    """Steps before the first look."""
    quantile_fraction: Annotated[float, Field(gt=0, le=0.5), BeforeValidator(as_number)] = 0.25
    """The share of trials that take over weights, and of those that give theirs."""
    resample_probability: _Share = 0.25
    """Probability that a key is drawn anew instead of moved."""
    perturbation_factors: Annotated[list[_Positive], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [1.2, 0.8]
    )
    """One of them multiplies a number that is moved; it stays within its bounds."""
    synch: Flag = False
    """Whether all trials wait for each other at each look."""


_SEARCHES: dict[str, type[Section]] = {"random": RandomSearch, "grid": GridSearch, "optuna": OptunaSearch}
_SCHEDULERS: dict[str, type[Section]] = {"none": NoScheduler, "asha": Asha, "median": Median, "pbt": Pbt}
_Search: Any = one_of("kind", _SEARCHES, Literal["random", "grid", "optuna"])
_Scheduler: Any = one_of("kind", _SCHEDULERS, Literal["none", "asha", "median", "pbt"])


class Budget(Section):
    """When a sweep and each of its trials end; whatever comes first."""

    trials: PositiveInt | None = None
    """Trials, besides that of the base run; null goes on until the seconds are over, or through the whole grid."""
    seconds: _Positive | None = None
    """Seconds of the sweep from its first trial on; what runs then is stopped."""
    steps: PositiveInt | None = None
    """Steps of a trial."""
    rows: PositiveInt | None = None
    """Rows that a trial trains on: its steps are these by its batch size, rounded up."""
    with_default: Flag = True
    """Whether trial 0 is the base run as it is, which no scheduler stops."""


class Trials(Section):
    """What a trial takes, and how often it is evaluated."""

    cpus: _Positive = 1
    """CPUs of a trial, or of each of its workers."""
    workers: PositiveInt | None = None
    """Workers that train a trial together; null trains it in one process, which starts in no time."""
    max_concurrent: PositiveInt | None = None
    """Trials at once, at most; null lets the CPUs decide."""
    max_failures: _Count = 1
    """How often a trial whose process dies, or that raises an error, goes on from its last checkpoint."""
    evaluate_every: PositiveInt = 500
    """Steps between two evaluations of a trial, after each of which a scheduler decides on it."""


def _parsed(value: Any) -> Node:
    try:
        return parse_drawn(value)
    except SpaceError as error:
        raise refusals([(error.place, str(error))]) from error


_NAMES = ", ".join(DISTRIBUTIONS)
_Distribution = Annotated[
    Any,
    PlainValidator(_parsed),
    WithJsonSchema(
        {
            "type": ["object", "array"],
            "description": f"A distribution ({_NAMES}), or a mapping or list in which such stand.",
            "properties": {
                "choice": {"type": "array", "minItems": 1},
                "layers": {"type": "object", "required": ["depth", "width"]},
                **{name: {"type": "array"} for name in DISTRIBUTIONS if name not in ("choice", "layers")},
            },
        }
    ),
]
_Mode = Literal["max", "min"]
_MLflow: Any = arguments_model(
    "MLflow",
    MLflowSettings,
    doc="Where and under which names MLflow records the sweep.",
    leave_out=("registered_model_name",),
)
_Tracking = Annotated[
    Annotated[Literal["mlflow"], Tag(SHORT)] | Annotated[_MLflow, Tag(tag_of("MLflow"))], short_or("MLflow")
]


class SweepSettings(Section):
    """A sweep: a run, which of its keys to search, how, and for how long."""

    run: Text
    """YAML file of the base run."""
    set: dict[Text, Any] = Field(default_factory=dict)
    """Key of the run -> value that takes the place of the file's in all trials."""
    space: Annotated[dict[Text, _Distribution], Field(min_length=1)]
    """Key of the run -> distribution."""
    search: _Search = "random"
    """Name of a searcher, or a mapping of its kind and its arguments."""
    scheduler: _Scheduler = "none"
    """Name of a scheduler, which ends trials early or changes them, or a mapping of its kind and its arguments."""
    metric: Annotated[
        Annotated[Text, Tag(SHORT)] | Annotated[list[Text], Field(min_length=1), Tag(LIST)], short_or_list()
    ] = "loss"
    """Metric of the evaluation by which trials are compared, or a list of several."""
    mode: Annotated[
        Annotated[_Mode, Tag(SHORT)] | Annotated[list[_Mode], Field(min_length=1), Tag(LIST)], short_or_list()
    ] = "min"
    """Whether the metric is to be large (max) or small (min); a list has one for each metric."""
    budget: Budget = Field(default_factory=Budget)
    trials: Trials = Field(default_factory=Trials)
    seed: _Count = 0
    """Of all that is drawn, and of the runs where they have none."""
    name: Text | None = None
    """Of the sweep's folder; null is the name of the file."""
    storage: Text = "runs/sweeps"
    """Folder in which that of the sweep lies; all nodes must see it."""
    tracking: _Tracking | None = None
    """mlflow, or a mapping of where and under which names: the sweep becomes a run with one below it for each trial."""
    registered_model: Text | None = None
    """Name in MLflow's registry of which the best trial's model becomes the champion; null is the sweep's name."""
    then_train: Flag = False
    """Whether the best configuration is trained at full length after the sweep, as the base run says."""

    @property
    def metrics(self) -> list[str]:
        """The metrics by which trials are compared; one unless a list was given."""
        return [self.metric] if isinstance(self.metric, str) else self.metric

    @property
    def searcher(self) -> Section:
        """The searcher with its arguments."""
        return _SEARCHES[self.search]() if isinstance(self.search, str) else self.search

    @property
    def tracking_settings(self) -> MLflowSettings | None:
        """Where and under which names MLflow records the sweep; None where it does not."""
        if self.tracking is None:
            return None
        return MLflowSettings() if isinstance(self.tracking, str) else self.tracking.make()

    @property
    def scheduler_settings(self) -> Section:
        """The scheduler with its arguments."""
        return _SCHEDULERS[self.scheduler]() if isinstance(self.scheduler, str) else self.scheduler
