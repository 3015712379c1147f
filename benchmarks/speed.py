"""How fast raydnn trains, evaluates and predicts against TensorFlow's estimator and plain torch.

    python benchmarks/speed.py --tensorflow PATH/TO/OTHER/ENV/bin/python --workloads C F A

Each figure is that of a process of its own with all cores; those that are compared run in turn, several rounds, and the
medians are printed. See `benchmarks/workloads.py` for what is trained on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from workloads import Workload, census, clicks, flights

PEERS = Path(__file__).parent / "peers"
WORKLOADS: dict[str, Callable[[Path], Workload]] = {
    "C": lambda folder: clicks(folder, 1 << 18),
    "M": lambda folder: clicks(folder, 1 << 17, multivalent=4),
    "F": flights,
    "A": census,
}
BATCHES = {"C": (512, 4096), "M": (512, 4096), "F": (512, 4096), "A": (128,)}
ROWS = {128: 256_000, 512: 100_000, 4096: 250_000}
WARM_UP = 10

Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorflow", metavar="PYTHON", help="of an environment with TensorFlow 2.15; none leaves it")
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=["C", "F", "A"])
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--data", type=Path, default=Path("runs/benchmarks"), help="folder of the workloads' files")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    for name in arguments.workloads:
        described = arguments.data / f"{name}.json"
        WORKLOADS[name](arguments.data).write(described)
        for batch in BATCHES[name]:
            # What takes longest is measured with one batch size alone.
            infers = batch == BATCHES[name][-1]
            report(name, batch, measure(described, batch, arguments.rounds, infers, arguments.tensorflow))


def measure(workload: Path, batch: int, rounds: int, infers: bool, tensorflow: str | None) -> dict[str, Figures]:
    """The medians of all figures by who gave them.

    Args:
        workload: described as JSON.
        batch: rows in a batch.
        rounds: how often each is measured, in turn.
        infers: whether evaluation and prediction are measured too.
        tensorflow: interpreter with TensorFlow, or None.
    """
    steps = str(ROWS[batch] // batch + WARM_UP)
    common = [str(workload), "--batch", str(batch), "--steps", steps, "--warm-up", str(WARM_UP)]
    more = ["--infer"] if infers else []
    commands = {
        "raydnn": [sys.executable, str(PEERS / "raydnn_estimator.py"), *common, *more],
        "torch, dense part alone": [sys.executable, str(PEERS / "torch_loops.py"), common[0], "dense", *common[1:]],
        "torch, plain": [sys.executable, str(PEERS / "torch_loops.py"), common[0], "plain", *common[1:]],
    }
    if batch == max(ROWS):
        commands["raydnn, bfloat16"] = [*commands["raydnn"][: 2 + len(common)], "--compute-dtype", "bfloat16"]
    if tensorflow is not None:
        commands["tensorflow"] = [tensorflow, str(PEERS / "tf_estimator.py"), *common, *more]
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            for figure, value in run(command).items():
                found[name][figure].append(value)
    return {name: {figure: statistics.median(values) for figure, values in of.items()} for name, of in found.items()}


def run(command: list[str]) -> Figures:
    """The figures that a process prints in its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(name: str, batch: int, figures: dict[str, Figures]) -> None:
    """Print the figures of a workload, and raydnn's against each peer's."""
    print(f"{name}, batches of {batch}:")
    own = figures["raydnn"]
    for peer, values in figures.items():
        for figure, value in values.items():
            is_speed = figure in ("train", "evaluate", "predict")
            shown = (
                f"{value:,.0f} rows/s"
                if is_speed
                else f"{value:,.2f} s"
                if figure.endswith("_s")
                else f"{value:,.0f} MB"
            )
            against = "" if peer == "raydnn" else f"; raydnn has {own[figure] / value:.2f} of it"
            if peer == "raydnn, bfloat16":
                against = f"; {value / own[figure]:.2f} of float32"
            print(f"    {peer}, {figure}: {shown}{against}", flush=True)


if __name__ == "__main__":
    main()
