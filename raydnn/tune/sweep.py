"""A sweep: one estimator after another, trained and evaluated in a process of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from raydnn.estimator.estimator import Estimator

InputFn = Callable[..., Any]


def run(
    make_estimator: Callable[[dict[str, Any], str], Estimator],
    train_input_fn: InputFn,
    eval_input_fn: InputFn,
    space: Mapping[str, Any],
    *,
    metric: str = "loss",
    mode: str = "min",
    num_samples: int = 1,
    max_steps: int | None = None,
    cpus_per_trial: float = 1.0,
    max_concurrent_trials: int | None = None,
    storage: str | Path,
    name: str = "sweep",
    seed: int | None = None,
) -> tune.ResultGrid:
    """Try configurations drawn from a search space.

    Args:
        make_estimator: (configuration, model_dir) -> estimator, without workers of its own.
        train_input_fn, eval_input_fn: as `Estimator.train` and `evaluate` take them.
        space: as `parse_space` gives it.
        metric: by which the best trial is told; a name in the metrics of `evaluate`.
        mode: 'min' or 'max'.
        num_samples: how many configurations to draw (each point of a grid that often).
        max_steps: of each trial; None goes to the end of the input.
        cpus_per_trial: what a trial reserves.
        max_concurrent_trials: at most; None lets the CPUs decide.
        storage: local folder for the trials.
        name: of the sweep's folder in it; the trials' models lie in `storage/name/models`.
        seed: of the draws.

    Returns:
        Ray Tune's results: metrics, configurations and errors of all trials.

    Raises:
        ValueError: a mode that is neither 'min' nor 'max'.
    """
    if mode not in ("min", "max"):
        raise ValueError(f"mode must be 'min' or 'max'; got {mode!r}")
    folder = Path(storage).absolute()

    def trial(configuration: dict[str, Any]) -> None:
        model_dir = folder / name / "models" / str(tune.get_context().get_trial_id())
        estimator = make_estimator(configuration, str(model_dir))
        estimator.train(train_input_fn, max_steps=max_steps)
        metrics = estimator.evaluate(eval_input_fn)
        tune.report({key: value.item() for key, value in metrics.items()} | {"model_dir": str(model_dir)})

    tuner = tune.Tuner(
        tune.with_resources(trial, {"cpu": cpus_per_trial}),
        param_space=dict(space),
        tune_config=tune.TuneConfig(
            metric=metric,
            mode=mode,
            num_samples=num_samples,
            max_concurrent_trials=max_concurrent_trials,
            search_alg=tune.search.BasicVariantGenerator(random_state=seed),
        ),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0),
    )
    return tuner.fit()
