"""`raydnn doctor`."""

from pathlib import Path

from commands import outcome, run, write_run


def test_what_is_well_and_what_is_not_is_told_with_the_way_out(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = run("doctor", "run.yaml", "--set", "run.num_workers=999", "--json", folder=tmp_path)
    assert result.returncode == 1, result.stderr
    found = outcome(result)
    checks = {check["name"]: check for check in found["checks"]}
    for name in ("python", "raydnn", "torch", "ray", "pyarrow", "mlflow", "ray cluster", "GPUs", "model_dir"):
        assert checks[name]["status"] == "ok", checks[name]
    assert checks["CPUs"]["status"] == "failed"
    assert "999 workers with 1 each need 999; the cluster has " in checks["CPUs"]["detail"]
    assert "lower run.num_workers" in checks["CPUs"]["way_out"]
    assert not (tmp_path / "model").exists()
