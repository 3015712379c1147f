"""What an import costs: modules and time."""

import json
import subprocess
import sys

import pytest

HEAVY = ("ray", "mlflow", "pandas", "onnx", "matplotlib", "sklearn")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def modules_loaded_by(code: str, watched: tuple[str, ...]) -> list[str]:
    report = f"import json, sys; print(json.dumps([name for name in {watched!r} if name in sys.modules]))"
    return json.loads(run_python(f"{code}\n{report}"))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import raydnn", (*HEAVY, "torch", "pydantic")),
        ("import raydnn; dir(raydnn)", (*HEAVY, "torch", "pydantic")),
        ("import raydnn; raydnn.config.load", HEAVY),
        ("import raydnn; raydnn.DNNClassifier; raydnn.export.load; raydnn.inputs.from_arrow", HEAVY),
        ("import raydnn.k8s.manifests, raydnn.k8s.run_in_cluster, raydnn.k8s.sweep_in_cluster", HEAVY),
    ],
)
def test_import_loads_nothing_that_is_not_needed(code: str, absent: tuple[str, ...]) -> None:
    assert modules_loaded_by(code, absent) == []


def test_import_takes_less_than_300_ms_beyond_torch() -> None:
    code = "import time, torch; start = time.perf_counter(); import raydnn; print(time.perf_counter() - start)"
    # The best of three: other work on the machine may slow any one of them down.
    assert any(float(run_python(code)) < 0.3 for _ in range(3))
