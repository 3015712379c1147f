"""`raydnn init`: a first run for some data."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from commands import outcome, run, run_in_a_fork

from raydnn import config

ROWS = 300
RANDOM = np.random.default_rng(0)
PLACES = np.arange(ROWS)
PEOPLE = pa.table(
    {
        "id": PLACES,
        "age": pa.array([None if place % 9 == 0 else int(place) % 60 + 18 for place in PLACES]),
        "income": np.exp(RANDOM.normal(size=ROWS) * 2 + 8),
        "city": [f"city {place % 90}" for place in PLACES],
        "job": [["clerk", "pilot", ""][place % 3] for place in PLACES],
        "bought": PLACES % 2,
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with people.csv."""
    pyarrow.csv.write_csv(PEOPLE, tmp_path / "people.csv")
    return tmp_path


def test_a_newcomer_goes_from_a_csv_to_a_checked_run_in_two_commands(folder: Path) -> None:
    started = run("init", "people.csv", "--label", "bought", folder=folder)
    assert started.returncode == 0, started.stderr
    assert started.stdout.splitlines() == ["run.yaml: 4 features of 5 columns, 300 rows", "next: raydnn check run.yaml"]
    checked = run("check", "run.yaml", folder=folder)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[-1] == "300 rows: 0 errors, 0 warnings"
    assert list(config.load(folder / "run.yaml").features) == ["age", "income", "city", "job"]


def test_a_file_that_is_there_is_only_written_over_by_force(folder: Path) -> None:
    (folder / "run.yaml").write_text("mine")
    arguments = ["init", "people.csv", "--label", "bought"]
    result = run_in_a_fork(*arguments, folder=folder)
    assert (result.returncode, (folder / "run.yaml").read_text()) == (2, "mine")
    assert "run.yaml is there already; choose another --out, or write over it with --force" in result.stderr
    assert run_in_a_fork(*arguments, "--force", folder=folder).returncode == 0
    assert config.load(folder / "run.yaml").data.label == "bought"


def test_weight_and_evaluation_are_taken_over_and_told_as_json(folder: Path) -> None:
    arguments = ["init", "people.csv", "--label", "bought", "--weight", "income", "--eval", "new.csv", "--json"]
    found = outcome(run_in_a_fork(*arguments, "--out", "first.yaml", folder=folder))
    assert found["run"] == "first.yaml"
    assert (found["rows"], found["columns"], found["features"]) == (300, 4, ["age", "city", "job"])
    made = config.load(folder / "first.yaml")
    assert (made.data.weight, made.data.eval) == ("income", "new.csv")


def test_the_format_can_be_given_where_a_path_does_not_tell_it(folder: Path) -> None:
    (folder / "rows").mkdir()
    (folder / "people.csv").rename(folder / "rows" / "0.csv")
    result = run_in_a_fork("init", "rows", "--label", "bought", "--format", "csv", folder=folder)
    assert result.returncode == 0, result.stderr
    assert config.load(folder / "run.yaml").train_input().format == "csv"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["people.csv", "--label", "baught"], "--label: the data has no column 'baught'; did you mean 'bought'"),
        (["people.csv", "--label", "id"], "label 'id' has 300 different values in 300 rows"),
        (["none.csv", "--label", "bought"], "there is no file "),
        (["people.txt", "--label", "bought"], "the format cannot be told from 'people.txt'"),
        (["people.csv", "--label", "bought", "--format", "parket"], "must be one of parquet, csv, "),
        (["people.csv", "--label", "bought", "--eval", "new.txt"], "the format cannot be told from 'new.txt'"),
    ],
)
def test_what_cannot_be_a_run_is_not_written(folder: Path, arguments: list[str], message: str) -> None:
    result = run_in_a_fork("init", *arguments, folder=folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (folder / "run.yaml").exists()
