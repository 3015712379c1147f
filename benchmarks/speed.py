"""How fast raydnn trains, evaluates and predicts, against TensorFlow's estimator, plain torch and scikit-learn.

    python benchmarks/speed.py --tensorflow PATH/TO/OTHER/ENV/bin/python --out speed.json

Each speed is that of a process of its own with two threads, or of two Ray workers with one thread each. Those that are
compared run in turn, several rounds; medians are printed as tables in Markdown. See `benchmarks/workloads.py` for what
is trained on.

train          rows/s of training; the first 10 batches do not count
infer          rows/s of evaluation and of prediction from raw words: the second pass over the rows
start          seconds from the call of `train` to the end of the first step, and the peak memory of a training
ray            two workers that read with Ray Data, against one process that has its rows in memory
bfloat16-auc   the test AUC of trainings in bfloat16, against float32
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from workloads import Workload, census, clicks, flights

PEERS = Path(__file__).parent / "peers"
WORKLOADS: dict[str, Callable[[Path], Workload]] = {
    "C": lambda folder: clicks(folder, 1 << 18),
    "M": lambda folder: clicks(folder, 1 << 17, multivalent=4),
    "F": flights,
    "A": census,
}
BATCHES = {"C": (512, 4096), "M": (512, 4096), "F": (512, 4096), "A": (128,)}
ROWS = {128: 150_000, 512: 50_000, 4096: 120_000}
LARGE, WARM_UP = 4096, 10
# An epoch of C: what begins anew in each epoch counts once.
RAY_STEPS = (1 << 18) // LARGE
# It takes many times as long for a row as the others.
SKLEARN_STEPS, SKLEARN_WARM_UP = {512: 40, 4096: 10}, 2

Figures = dict[str, float]


@dataclass
class Bench:
    """What is measured, how often, and what was found.

    Attributes:
        data: folder of the workloads' files.
        workloads: their names.
        rounds: how often each figure is taken.
        steps: that count, of each training and evaluation; None takes as many as give a steady figure.
        seeds: of the trainings that are compared by their AUC.
        tensorflow: interpreter with TensorFlow, or None.
        found: what was compared -> who gave it -> figure -> its value in each round.
    """

    data: Path
    workloads: list[str]
    rounds: int
    steps: int | None
    seeds: int
    tensorflow: str | None
    found: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)

    def described(self, name: str) -> Path:
        """A workload's file is there, and this one describes it."""
        path = self.data / f"{name}.json"
        WORKLOADS[name](self.data).write(path)
        return path

    def peer(self, script: str, name: str, *arguments: object, steps: int, warm_up: int = WARM_UP) -> list[str]:
        """The command that measures a peer on a workload."""
        python = sys.executable
        if script == "tf_estimator.py":
            assert self.tensorflow is not None
            python = self.tensorflow
        counted = [f"--steps={(self.steps or steps) + warm_up}", f"--warm-up={warm_up}"]
        return [python, str(PEERS / script), str(self.described(name)), *map(str, arguments), *counted]

    def measure(self, what: str, commands: dict[str, list[str]]) -> dict[str, Figures]:
        """Run commands in turn, all of them in each round.

        Args:
            what: is compared.
            commands: by who gives the figures.

        Returns:
            The medians of the figures, by who gave them.
        """
        rounds: dict[str, dict[str, list[float]]] = {peer: defaultdict(list) for peer in commands}
        for number in range(self.rounds):
            for peer, command in commands.items():
                print(f"{what}, round {number + 1}: {peer}", file=sys.stderr, flush=True)
                for figure, value in run(command).items():
                    rounds[peer][figure].append(value)
        self.found[what] = rounds
        return self.medians(what)

    def medians(self, what: str) -> dict[str, Figures]:
        """What was found, in the middle of all rounds."""
        return {
            peer: {figure: statistics.median(values) for figure, values in figures.items()}
            for peer, figures in self.found[what].items()
        }


def run(command: list[str]) -> Figures:
    """The figures that a process prints in its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def train(bench: Bench) -> None:
    """Training, by workload and batch size."""
    peers = ["TensorFlow", "dense part alone", "plain torch", "scikit-learn"]
    head("training, rows/s", ["raydnn", *peers])
    for name in bench.workloads:
        for batch in BATCHES[name]:
            medians = bench.measure(f"train {name} {batch}", training_commands(bench, name, batch))
            for own in ("raydnn", "raydnn, bfloat16"):
                if own in medians:
                    title = f"{name}, batch {batch}{own.removeprefix('raydnn')}"
                    row(title, medians[own]["train"], [medians.get(peer, {}).get("train") for peer in peers])


def training_commands(bench: Bench, name: str, batch: int) -> dict[str, list[str]]:
    """Who trains on a workload."""
    options, steps = ["--batch", batch], ROWS[batch] // batch
    commands = {
        "raydnn": bench.peer("raydnn_estimator.py", name, *options, steps=steps),
        "dense part alone": bench.peer("torch_loops.py", name, "dense", *options, steps=steps),
        "plain torch": bench.peer("torch_loops.py", name, "plain", *options, steps=steps),
    }
    if bench.tensorflow is not None:
        commands["TensorFlow"] = bench.peer("tf_estimator.py", name, *options, steps=steps)
    if batch == LARGE and name in ("C", "F"):
        options += ["--compute-dtype", "bfloat16"]
        commands["raydnn, bfloat16"] = bench.peer("raydnn_estimator.py", name, *options, steps=steps)
    if name == "F":
        # Of the click logs' 2.6 million buckets nobody would make as many columns.
        commands["scikit-learn"] = bench.peer(
            "sklearn_mlp.py", name, "--batch", batch, steps=SKLEARN_STEPS[batch], warm_up=SKLEARN_WARM_UP
        )
    return commands


def infer(bench: Bench) -> None:
    """Evaluation and prediction, in batches of 4096."""
    head("rows/s, batch 4096", ["raydnn", "TensorFlow"])
    for name in bench.workloads:
        if name not in ("C", "F"):
            continue
        described = json.loads(bench.described(name).read_text())
        batches = bench.steps or pq.read_metadata(described["path"]).num_rows // LARGE
        scripts = {"raydnn": "raydnn_estimator.py"} | ({"TensorFlow": "tf_estimator.py"} if bench.tensorflow else {})
        commands = {
            peer: bench.peer(script, name, "--batch", LARGE, "--infer", steps=batches, warm_up=batches)
            for peer, script in scripts.items()
        }
        medians = bench.measure(f"infer {name}", commands)
        for figure in ("evaluate", "predict"):
            row(f"{name}, {figure}", medians["raydnn"][figure], [medians.get("TensorFlow", {}).get(figure)])


def start(bench: Bench) -> None:
    """The way to the first step, and memory, of trainings with the largest batches."""
    units = {"first_step_s": "call to first step, s", "peak_mb": "peak memory, MB"}
    head("start", ["raydnn", "TensorFlow"])
    for name in bench.workloads:
        batch = BATCHES[name][-1]
        what = f"train {name} {batch}"
        if what not in bench.found:
            commands = training_commands(bench, name, batch)
            bench.measure(what, {peer: commands[peer] for peer in ("raydnn", "TensorFlow") if peer in commands})
        medians = bench.medians(what)
        for figure, unit in units.items():
            others = [medians.get("TensorFlow", {}).get(figure)]
            row(f"{name}, batch {batch}: {unit}", medians["raydnn"][figure], others)


def ray_data(bench: Bench) -> None:
    """Two workers that read with Ray Data against one process, on the click logs."""
    kinds: dict[str, list[object]] = {
        "1 process, rows in memory": ["memory", "--workers", 0],
        "2 workers, rows in memory": ["memory"],
        "2 workers, `from_ray`, encoded once": ["kept"],
        "2 workers, `from_ray`, streamed": ["streamed"],
        "2 workers, `input_engine='ray_data'`": ["engine"],
    }
    commands = {
        kind: bench.peer("raydnn_workers.py", "C", *arguments, "--batch", LARGE, steps=RAY_STEPS)
        for kind, arguments in kinds.items()
    }
    medians = bench.measure("ray", commands)
    head("C, batch 4096", ["rows/s", "against one process", "call to first step, s"])
    base = next(iter(medians.values()))["train"]
    for kind, figures in medians.items():
        cells = f"{figures['train']:,.0f} | {figures['train'] / base:.2f} | {figures['first_step_s']:.1f}"
        print(f"| {kind} | {cells} |", flush=True)


def bfloat16_auc(bench: Bench) -> None:
    """The test AUC of the flights in both number formats, after two epochs in batches of 512."""
    seeds, dtypes = range(1, bench.seeds + 1), ("float32", "bfloat16")
    common = [sys.executable, str(PEERS / "raydnn_auc.py"), str(bench.described("F"))]
    common += [f"--steps={bench.steps}"] if bench.steps else []
    commands = [[*common, f"--seed={seed}", f"--compute-dtype={dtype}"] for dtype in dtypes for seed in seeds]
    print(f"bfloat16-auc: {len(commands)} trainings, two at once", file=sys.stderr, flush=True)
    with ThreadPoolExecutor(2) as pool:
        scores = [figures["auc"] for figures in pool.map(run, commands)]
    found = {"float32": scores[: bench.seeds], "bfloat16": scores[bench.seeds :]}
    bench.found["bfloat16-auc"] = {dtype: {"auc": values} for dtype, values in found.items()}
    found["difference, seed by seed"] = [
        other - own for own, other in zip(found["float32"], found["bfloat16"], strict=True)
    ]
    head(f"F, test AUC, {bench.seeds} seeds", ["mean", "lowest - highest", "standard deviation"])
    for title, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        sign = "+" if title.startswith("difference") else ""
        shown = f"{statistics.mean(values):{sign}.4f} | {min(values):{sign}.4f} - {max(values):{sign}.4f}"
        print(f"| {title} | {shown} | {spread:.4f} |", flush=True)


SUBJECTS: dict[str, Callable[[Bench], None]] = {
    "train": train,
    "infer": infer,
    "start": start,
    "ray": ray_data,
    "bfloat16-auc": bfloat16_auc,
}


def head(title: str, columns: list[str]) -> None:
    """Begin a table."""
    print(f"\n| {title} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}", flush=True)


def row(title: str, own: float, others: list[float | None]) -> None:
    """A line of a table: raydnn's figure, and those of peers with raydnn's as a multiple of them."""
    digits = 0 if own >= 100 else 2
    cells = ["" if other is None else f"{other:,.{digits}f} ({own / other:.2f})" for other in others]
    print(f"| {title} | {own:,.{digits}f} | {' | '.join(cells)} |", flush=True)


def circumstances(bench: Bench) -> dict[str, str]:
    """Where and with what is measured."""
    found = {"date": date.today().isoformat(), "processor": processor(), "cores": str(os.cpu_count())}
    found |= {name: importlib.metadata.version(name) for name in ("raydnn", "torch", "ray", "scikit-learn")}
    if bench.tensorflow is not None:
        asked = [bench.tensorflow, "-c", "import tensorflow; print(tensorflow.__version__)"]
        found["TensorFlow"] = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return found


def processor() -> str:
    """The processor's name as Linux knows it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorflow", metavar="PYTHON", help="of an environment with TensorFlow 2.15; none leaves it")
    parser.add_argument("--only", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS), help="what to measure")
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--steps", type=int, help="that count, for a trial; the figures then mean little")
    parser.add_argument("--seeds", type=int, default=5, help="of the trainings that are compared by their AUC")
    parser.add_argument("--data", type=Path, default=Path("runs/benchmarks"), help="folder of the workloads' files")
    parser.add_argument("--out", type=Path, help="JSON file for all figures of all rounds")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        data=arguments.data,
        workloads=arguments.workloads,
        rounds=arguments.rounds,
        steps=arguments.steps,
        seeds=arguments.seeds,
        tensorflow=arguments.tensorflow,
    )
    about = circumstances(bench)
    print("Measured: " + ", ".join(f"{name} {value}" for name, value in about.items()) + f"; {bench.rounds} rounds.")
    print("In brackets stands raydnn's figure as a multiple of the peer's.", flush=True)
    for subject in SUBJECTS:
        if subject in arguments.only:
            SUBJECTS[subject](bench)
            if arguments.out is not None:
                # After each subject, because all of them together take long.
                arguments.out.write_text(json.dumps({**about, "figures": bench.found}, indent=1))


if __name__ == "__main__":
    main()
