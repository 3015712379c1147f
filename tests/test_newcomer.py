"""The first hour of somebody new: from a CSV file of their own to a report, with the wheel and nothing else."""

import csv
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from commands import OUTCOME

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[1]
COLUMNS = ("customer", "age", "city", "plan", "minutes", "churned")


def write_customers(path: Path, rows: int, has_label: bool) -> None:
    """Customers of a telephone company: the old ones and those with the plan 'flex' leave."""
    draw = random.Random(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS if has_label else COLUMNS[:-1])
        for number in range(rows):
            age, plan = draw.randint(18, 90), draw.choice(["flex", "basic", "pro"])
            row: list[Any] = [f"c{number}", age, draw.choice(["amsterdam", "berlin", "cairo"]), plan]
            row.append(round(draw.expovariate(0.01), 1))
            writer.writerow([*row, "yes" if age > 60 or plan == "flex" else "no"] if has_label else row)


@dataclass(frozen=True)
class Installed:
    """A wheel in a folder of its own, and a folder to work in."""

    site: Path
    folder: Path

    def run(self, *command: str) -> str:
        """Run a command as a person with this wheel does, and give what it writes."""
        environment = {**os.environ, "PYTHONPATH": str(self.site)}
        result = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def raydnn(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(str(self.site / "bin" / "raydnn"), *arguments, "--json"))
        jsonschema.validate(found, OUTCOME)
        assert found["status"] == "done"
        return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this tree; the folder is empty."""
    wheels, site, folder = (tmp_path_factory.mktemp(name) for name in ("wheels", "site", "work"))
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True, timeout=60)
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, *map(str, wheels.glob("*.whl"))], check=True, capture_output=True, timeout=60)
    wheel = Installed(site, folder)
    assert wheel.run(sys.executable, "-c", "import raydnn; print(raydnn.__file__)").startswith(str(site))
    return wheel


def test_from_a_csv_file_to_a_report_without_an_editor(installed: Installed) -> None:
    folder, raydnn = installed.folder, installed.raydnn
    write_customers(folder / "customers.csv", 3500, has_label=True)
    write_customers(folder / "new.csv", 40, has_label=False)
    parts = raydnn("split", "customers.csv", "--out", "data")
    assert parts["train_rows"] + parts["eval_rows"] == 3500
    drafted = raydnn("init", parts["train"], "--eval", parts["eval"], "--label", "churned")
    assert drafted["features"] == ["age", "city", "plan", "minutes"]
    assert raydnn("check", "run.yaml")["errors"] == 0
    trained = raydnn("train", "run.yaml")
    assert trained["metrics"]["auc"] > 0.95
    assert raydnn("evaluate", "run.yaml")["metrics"]["auc"] == pytest.approx(trained["metrics"]["auc"])
    assert raydnn("predict", "run.yaml", "--set", "data.predict=new.csv", "--out", "predicted")["rows"] == 40
    assert {"customer", "probabilities"} <= set(pq.read_table(folder / "predicted").column_names)
    export = raydnn("export", "run.yaml", "--out", "exported")["export"]
    assert (folder / export / "weights.safetensors").stat().st_size
    raydnn("report", "run.yaml")
    assert (folder / trained["model_dir"] / "report.html").stat().st_size > 50_000
