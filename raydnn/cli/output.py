"""What a command tells: tables for people or one JSON object for programs, and an exit code for both."""

import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import typer
from rich.console import Console, RenderableType

from raydnn import errors
from raydnn.cli.logs import write_logs
from raydnn.cli.options import LogFormat

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

# What the Python API raises in words meant for people; all else is a fault, and its traceback tells more.
_EXPLAINED = (ValueError, OSError, ImportError, errors.OpError, errors.NanLossDuringTrainingError)


class Output:
    """The outcome of a command.

    Args:
        command: its name.
        as_json: whether a program reads it.
    """

    def __init__(self, command: str, as_json: bool) -> None:
        self.exit_code = 0
        self.as_json = as_json
        self._fields: dict[str, Any] = {"command": command, "status": "done"}

    def add(self, **fields: Any) -> None:
        """Add to the JSON object; keys that are there already get the new values."""
        self._fields |= fields

    def show(self, *parts: RenderableType) -> None:
        """Print for people."""
        if not self.as_json:
            console = Console()
            for part in parts:
                console.print(part, soft_wrap=isinstance(part, str), highlight=False, markup=False)

    def fail(self, error: BaseException, debug: bool) -> None:
        """Tell of what ended the command."""
        message = str(error)
        if isinstance(error, errors.TrainingStoppedError):
            name = None if error.signal is None else signal.Signals(error.signal).name
            self.exit_code = INTERRUPTED if error.signal is None else 128 + error.signal
            self.add(status="stopped", signal=name)
        elif isinstance(error, KeyboardInterrupt):
            self.exit_code, message = INTERRUPTED, message or "stopped by Ctrl-C"
            self.add(status="stopped", signal=signal.SIGINT.name)
        else:
            self.exit_code = MISUSED if isinstance(error, errors.ConfigError) else FAILED
            self.add(status="failed", error={"type": type(error).__name__, "message": message})
            is_explained = isinstance(error, _EXPLAINED) or type(error).__module__.partition(".")[0] == "ray"
            if debug or not is_explained:
                traceback.print_exception(error)
        # The problems of a configuration have a line each.
        text = message if isinstance(error, errors.ConfigError) else " ".join(message.splitlines())
        print(f"error: {text or type(error).__name__}", file=sys.stderr)

    def to_json(self) -> str:
        """The JSON object."""
        return json.dumps(_plain(self._fields), allow_nan=False)


@contextmanager
def output_of(command: str, as_json: bool, debug: bool, log_format: LogFormat) -> Iterator[Output]:
    """Run a command: log records, errors, output and the exit code are seen to.

    Args:
        command: its name.
        as_json: whether standard output gets one JSON object, whatever happens, and nothing else.
        debug: whether errors show their traceback.
        log_format: of log records on standard error.

    Raises:
        typer.Exit: the exit code is not 0.
    """
    write_logs(log_format)
    output = Output(command, as_json)
    with _stdout_kept(as_json) as stdout:
        try:
            yield output
        except (Exception, KeyboardInterrupt) as error:
            output.fail(error, debug)
        if as_json:
            os.write(stdout, f"{output.to_json()}\n".encode())
    if output.exit_code:
        raise typer.Exit(output.exit_code)


@contextmanager
def _stdout_kept(is_kept: bool) -> Iterator[int]:
    """While the block runs, what anything prints goes to standard error, that of other processes included.

    Yields:
        File descriptor of the standard output.
    """
    if not is_kept:
        yield 1
        return
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers of NumPy become plain ones, those that are not finite null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    with suppress(AttributeError):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
