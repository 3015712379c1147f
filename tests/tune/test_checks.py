"""What is said of sweeps that cannot be."""

from pathlib import Path

import pytest
import yaml

from raydnn import tune
from raydnn.errors import ConfigError

BASE = """\
run: run.yaml
space:
  model.dropout: {uniform: [0.0, 0.4]}
search: random
scheduler: none
metric: auc
mode: max
budget: {trials: 2, steps: 40}
trials: {evaluate_every: 20}
"""
BROKEN = yaml.safe_load((Path(__file__).parent / "broken_sweeps.yaml").read_text())
pytestmark = pytest.mark.usefixtures("small_run")


@pytest.mark.parametrize("case", BROKEN, ids=[case["by"].strip()[:40] for case in BROKEN])
def test_a_broken_sweep_is_told_with_line_key_and_way_out(case: dict[str, str]) -> None:
    assert case["replace"] in BASE
    with pytest.raises(ConfigError) as refused:
        tune.loads(BASE.replace(case["replace"], case["by"], 1), name="sweep.yaml")
    assert str(refused.value) == "\n".join(f"sweep.yaml:{line}" for line in case["says"].split("\n"))
