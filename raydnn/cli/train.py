"""The command `raydnn train`."""

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import raydnn
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides, RunFile
from raydnn.cli.output import Output, output_of

if TYPE_CHECKING:
    from raydnn.config import Run


def train(
    run_file: RunFile,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Train the model of a run; with data.eval, evaluate and export it too.

    A run that was cut short goes on where it stood. Ctrl-C, or SIGTERM, ends it after the step it is in, with a
    checkpoint; a second one ends it at once.

    Example: raydnn train run.yaml --set model.dropout=0.1 --set run.num_workers=2
    """
    with output_of("train", as_json, debug, log_format) as output:
        is_watched = log_format is LogFormat.TEXT and sys.stderr.isatty()
        run = runs.load_run(run_file, overrides, progress=is_watched)
        estimator = run.estimator()
        # For those who look at the model later, from wherever.
        estimator.keep_with_model(raydnn.config.run.RUN_FILE, run.to_yaml(has_absolute_paths=True).encode())
        start, ledger = time.monotonic(), raydnn.train.read_ledger(estimator.model_dir)
        with raydnn.train.stop_on_signals() as stop:
            try:
                metrics = _train(run, estimator)
            finally:
                _tell_places(output, run, estimator)
                output.add(ledger=[asdict(epoch) for epoch in _epochs_since(ledger, estimator.model_dir)])
        output.add(metrics=metrics, seconds=round(time.monotonic() - start, 3))
        if stop.signal is not None:
            # The process of an evaluator ends without an error.
            output.exit_code = 128 + stop.signal
            output.add(status="stopped", signal=stop.signal.name)
        if metrics is not None:
            output.show(runs.metrics_table("Evaluation", metrics))


def _train(run: "Run", estimator: "raydnn.DNNClassifier") -> dict[str, Any] | None:
    """Train, and give the metrics of the last evaluation, if there was one."""
    if run.data.eval is None:
        estimator.train(run.train_input(), max_steps=run.eval.max_steps)
        return None
    return raydnn.estimator.train_and_evaluate(estimator, run.train_spec(), run.eval_spec())[0]


def _epochs_since(ledger: list["raydnn.train.LedgerEntry"], model_dir: str) -> list["raydnn.train.LedgerEntry"]:
    """The epochs of the call of train that has gone on with a ledger; none if no call has."""
    entries = raydnn.train.read_ledger(model_dir)
    if not entries or entries == ledger:
        return []
    of_call = [entry for entry in entries if entry.call_start_step == entries[-1].call_start_step]
    return raydnn.train.ledger.sums_of_epochs(of_call)


def _tell_places(output: Output, run: "Run", estimator: "raydnn.DNNClassifier") -> None:
    """Say where everything is, one thing a line, to be copied."""
    model_dir = estimator.model_dir
    kept, exported = runs.checkpoints(model_dir), runs.exports(model_dir)
    step = raydnn.train.load_checkpoint(kept[-1]).global_step if kept else None
    output.add(model_dir=model_dir, global_step=step, checkpoints=kept, exports=exported)
    lines = [f"model        {model_dir}"]
    lines += [f"checkpoint   {path}" for path in kept[-1:]]
    lines += [f"export       {path}" for path in exported]
    lines.append(f"TensorBoard  tensorboard --logdir {model_dir}")
    tracking = run.run_config().tracking
    if tracking is not None:
        lines.append(runs.mlflow_line(model_dir, getattr(tracking, "tracking_uri", None)))
    output.show(*lines)
