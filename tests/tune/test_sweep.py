"""What a sweep makes of its base run."""

from pathlib import Path

import pytest
from small_sweep import sweep_text

from raydnn import tune

pytestmark = pytest.mark.usefixtures("small_run")


def test_a_trial_is_the_base_run_with_what_the_sweep_decides() -> None:
    sweep = tune.loads(sweep_text(), {"trials.workers": 2, "budget.rows": 500, "trials.cpus": 0.5})
    run = sweep.trial_template().run({"model.dropout": 0.3, "data.batch_size": 30})
    config = run.run_config()
    assert run.model.dropout == 0.3
    assert (config.num_workers, config.save_checkpoints_steps, config.tracking) == (2, 20, None)
    assert config.resources_per_worker == {"CPU": 0.5}
    assert config.tf_random_seed == 7
    assert run.exporters == []
    assert run.eval.throttle_secs == 0
    assert sweep.steps_of(run) == 17
    assert sweep.steps_of(sweep.base) == 25


def test_runs_without_a_seed_take_that_of_the_sweep(small_run: Path) -> None:
    (small_run / "run.yaml").write_text((small_run / "run.yaml").read_text().replace("tf_random_seed: 7, ", ""))
    assert tune.loads(sweep_text(), {"seed": 5}).trial_template().run({}).run_config().tf_random_seed == 5
