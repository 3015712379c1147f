"""The command `raydnn check`."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import raydnn
from raydnn import storage
from raydnn.cli import runs
from raydnn.cli.options import AsJson, Debug, LogFormat, Logs, Overrides, RunFile
from raydnn.cli.output import MISUSED, output_of

if TYPE_CHECKING:
    from raydnn.config.checks import Finding


def check(
    run_file: RunFile,
    overrides: Overrides = None,
    as_json: AsJson = False,
    log_format: Logs = LogFormat.TEXT,
    debug: Debug = False,
) -> None:
    """Hold a run against its data without training: errors that would stop it, and what would make it worse.

    The exit code is 2 if there are errors.

    Example: raydnn check run.yaml --set data.train=data/new.parquet
    """
    with output_of("check", as_json, debug, log_format) as output:
        run = runs.load_run(run_file, overrides)
        # By name: these load torch.
        profiling, checks = import_module("raydnn.config.profiling"), import_module("raydnn.config.checks")
        watched = checks.vocabulary_words(run)
        train = profiling.profile_input(run.train_input(), watched)
        evaluation = None if run.data.eval is None else profiling.profile_input(run.eval_input(), watched)
        found = checks.findings(run, train, evaluation, import_module("raydnn.config.machine").memory_bytes())
        lines = _lines(run_file, raydnn.config.parse_overrides(overrides or ()), found)
        rows = [
            {"level": finding.level, "key": finding.key, "line": line, "text": finding.text}
            for finding, line in zip(found, lines, strict=True)
        ]
        counts = {level: sum(row["level"] == level for row in rows) for level in ("error", "warning")}
        output.add(rows=train.rows, errors=counts["error"], warnings=counts["warning"], findings=rows)
        for row in rows:
            where = "override" if row["line"] is None else f"{run_file}:{row['line']}"
            output.show(f"{row['level']:7}  {where}: {row['key']}: {row['text']}")
        told = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items())
        output.show(f"{train.rows:,} rows: {told}")
        output.exit_code = MISUSED if counts["error"] else 0


def _lines(run_file: str, overrides: Mapping[str, Any], found: Sequence["Finding"]) -> list[int | None]:
    """The lines that findings are about, from 1; None where an override gave the value."""
    document = import_module("raydnn.config.document").Document.parse(storage.read_bytes(run_file).decode())
    for key, value in overrides.items():
        document.override(key, value)
    return [None if document.is_overridden(each.place) else document.line_of(each.place) for each in found]
