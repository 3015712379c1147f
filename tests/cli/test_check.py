"""`raydnn check`: a run against its data."""

from pathlib import Path

import pytest
from commands import outcome, run_in_a_fork, write_run


def test_findings_name_file_line_and_key(tmp_path: Path) -> None:
    write_run(tmp_path)
    text = (tmp_path / "run.yaml").read_text().replace("age: {normalize: {mean: 49, std: 18}}", "age: numeric")
    (tmp_path / "run.yaml").write_text(text + "  \n")
    result = run_in_a_fork("check", "run.yaml", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    first, *_, last = result.stdout.splitlines()
    assert first.startswith("warning  run.yaml:4: features.age: has mean ")
    assert last == "200 rows: 0 errors, 1 warning"
    assert not (tmp_path / "model").exists()


def test_errors_exit_with_2_and_json_tells_each(tmp_path: Path) -> None:
    write_run(tmp_path)
    overrides = ["features.town.hash=5", "features.city.dtype=int64"]
    arguments = [part for override in overrides for part in ("--set", override)]
    result = run_in_a_fork("check", "run.yaml", *arguments, "--json", folder=tmp_path)
    assert result.returncode == 2
    found = outcome(result)
    assert (found["command"], found["rows"], found["errors"], found["warnings"]) == ("check", 200, 2, 0)
    town, city, memory = found["findings"]
    assert (town["level"], town["key"], town["line"]) == ("error", "features.town", None)
    assert (city["key"], city["line"]) == ("features.city", 5)
    assert (memory["level"], memory["key"]) == ("info", "run")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train=none.parquet", "there is no file "),
        ("data.eval=none.parquet", "there is no file "),
        ("features.city={vocabulary: none.txt, vocabulary_size: 3}", "none.txt does not exist"),
    ],
)
def test_data_that_is_not_there_is_told_in_one_line(tmp_path: Path, override: str, message: str) -> None:
    write_run(tmp_path)
    result = run_in_a_fork("check", "run.yaml", "--set", override, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
