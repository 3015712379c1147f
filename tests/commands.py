"""The command, run as a person runs it, and a small run to do so with."""

import atexit
import json
import os
import subprocess
import sys
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COMMAND = [sys.executable, "-c", "from raydnn.cli.main import app; app()"]
OUTPUT_FILES = ("stdout", "stderr")
"""What a command that a server runs writes, in the folder it runs in."""

RUN = """
data: {train: train.parquet, eval: eval.parquet, predict: new.parquet, label: clicked, batch_size: 10, epochs: 2}
features:
  age: {normalize: {mean: 49, std: 18}}
  city: {hash: 32, embed: 4}
model: {hidden_units: [4]}
run: {model_dir: model, tf_random_seed: 7}
exporters: [{kind: latest, name: newest}]
"""

OUTCOME = {
    "type": "object",
    "required": ["command", "status"],
    "properties": {
        "command": {"type": "string"},
        "status": {"enum": ["done", "stopped", "failed"]},
        "signal": {"enum": ["SIGINT", "SIGTERM"]},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string", "minLength": 1}},
        },
        "metrics": {"type": ["object", "null"], "additionalProperties": {"type": ["number", "null"]}},
        "global_step": {"type": ["integer", "null"]},
        "checkpoints": {"type": "array", "items": {"type": "string"}},
        "exports": {"type": "array", "items": {"type": "string"}},
        "report": {"type": "string", "pattern": "[.]html$"},
        "mlflow_run": {"type": ["string", "null"]},
        "scored": {"enum": ["data.eval", "data.train"]},
        "sections": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "charts": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "ledger": {
            "type": "array",
            "items": {
                "required": [
                    "call_start_step",
                    "epoch",
                    "first_step",
                    "last_step",
                    "read",
                    "dropped",
                    "rows",
                    "workers",
                ],
                "properties": {
                    "dropped": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "weight": {"type": ["number", "null"]},
                    "workers": {"type": "array", "items": {"type": "integer"}},
                },
            },
        },
        "checks": {
            "type": "array",
            "items": {
                "required": ["name", "status", "detail", "way_out"],
                "properties": {"status": {"enum": ["ok", "warning", "failed"]}},
            },
        },
    },
}
"""What every command writes with --json."""


def run(*arguments: str | Path, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own.

    Args:
        arguments: of the command.
        folder: working directory.
        variables: of the environment.
    """
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env={**os.environ, **variables},
    )


def run_in_a_fork(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """As `run`, but without the seconds that the imports take, in a fork of a process that has made them."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps([list(map(str, arguments)), str(folder)]) + "\n")
    server.stdin.flush()
    code = int(server.stdout.readline())
    return subprocess.CompletedProcess(arguments, code, *((folder / name).read_text() for name in OUTPUT_FILES))


@cache
def _server() -> subprocess.Popen[str]:
    """A process without threads, as one that has some must not be forked."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server


def serve() -> None:
    for name in ("raydnn.cli.predicted_files", "raydnn.config", "raydnn.export", "raydnn.tracking.event_file"):
        import_module(name)
    for line in sys.stdin:
        arguments, folder = json.loads(line)
        process = os.fork()
        if process == 0:
            run_here(arguments, Path(folder))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}\n")
        sys.stdout.flush()


def run_here(arguments: list[str], folder: Path) -> None:
    """Run a command and end the process."""
    code: Any = 1
    os.chdir(folder)
    for number, name in enumerate(OUTPUT_FILES, start=1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        import_module("raydnn.cli.main").app(arguments, prog_name="raydnn")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def outcome(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON object of a command: nothing else may stand in its output."""
    found: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(found, OUTCOME)
    return found


def write_run(folder: Path, rows: int = 200) -> Path:
    """Write RUN as run.yaml with its data: 20 rows are evaluated, 45 predicted."""
    for name, size, has_label in (("train", rows, True), ("eval", 20, True), ("new", 45, False)):
        random = np.random.default_rng(size)
        age = random.uniform(18, 80, size).astype(np.float32)
        columns = {"id": np.arange(size), "age": age, "city": random.choice(["amsterdam", "berlin"], size)}
        if has_label:
            columns["clicked"] = (age > 50).astype(np.int64)
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=20)
    path = folder / "run.yaml"
    path.write_text(RUN)
    return path


if __name__ == "__main__":
    serve()
