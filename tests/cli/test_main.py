"""The command as a whole: help, wrong usage, and errors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import outcome, run, run_in_a_fork, write_run
from typer.testing import CliRunner

import raydnn
from raydnn.cli.main import app

COMMANDS = [command.callback.__name__.replace("_", "-") for command in app.registered_commands if command.callback]


def test_version_and_help_load_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from raydnn.cli.main import app;"
        "result = CliRunner().invoke(app, sys.argv[1:]); print(result.stdout);"
        "print(sorted({'torch', 'ray', 'mlflow', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    text = " ".join(result.stdout.split())
    assert "0 done; 1 the run failed; 2 wrong usage or configuration; 130 stopped by Ctrl-C, 143 by SIGTERM" in text


def test_version_is_printed() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout.strip()) == (0, raydnn.__version__)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: raydnn {command} " in " ".join(result.stdout.split())


@pytest.mark.parametrize("arguments", [["train"], ["train", "run.yaml", "--nope"], ["predict", "run.yaml"], ["nope"]])
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    result = run_in_a_fork(*arguments, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "Usage: raydnn" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "run.yaml", "--set", "model.droput=0.1"], "error: override: model.droput: there is no such key"),
        (["train", "run.yaml", "--set", "model.dropout"], "error: 'model.dropout' is no override"),
        (["train", "missing.yaml"], "error: there is no file missing.yaml"),
        (["evaluate", "run.yaml", "--set", "data.eval=null"], "error: data.eval is not given"),
        (["evaluate", "run.yaml", "--set", "run.model_dir=null"], "error: run.model_dir is not given"),
    ],
)
def test_a_wrong_configuration_is_told_without_a_traceback(tmp_path: Path, arguments: list[str], message: str) -> None:
    write_run(tmp_path)
    result = run_in_a_fork(*arguments, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "model").exists()


def test_errors_are_one_line_or_with_debug_have_their_traceback(tmp_path: Path) -> None:
    write_run(tmp_path)
    arguments = ["train", "run.yaml", "--set", "data.train=missing.parquet", "--json"]
    result = run_in_a_fork(*arguments, folder=tmp_path)
    assert result.returncode == 1
    assert "error: there is no file " in result.stderr
    assert "Traceback" not in result.stderr
    found = outcome(result)
    assert (found["status"], found["error"]["type"]) == ("failed", "FileNotFoundError")
    assert "Traceback" in run_in_a_fork(*arguments, "--debug", folder=tmp_path).stderr


def test_an_untrained_model_is_not_evaluated(tmp_path: Path) -> None:
    write_run(tmp_path)
    for arguments in (["evaluate"], ["predict", "--out", "out"], ["export", "--out", "out"]):
        result = run_in_a_fork(arguments[0], "run.yaml", *arguments[1:], folder=tmp_path)
        assert result.returncode == 1
        assert "error: there is no checkpoint in model; train the model first: raydnn train" in result.stderr
        assert not (tmp_path / "out").exists()


def test_log_records_can_be_json_lines(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("train", "run.yaml", "--log-format", "json", folder=tmp_path)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"time", "level", "logger", "message"} == set(lines[0])
    assert any(line["message"].startswith("Saved checkpoint for step 0") for line in lines)
