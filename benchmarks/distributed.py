"""What workers cost: speed of two workers against one process, and the bytes they send each other.

    python benchmarks/distributed.py

The click logs of `benchmarks/workloads.py` train their network in batches of 4096: by one process with two threads, by
two Ray workers with one thread each that hold all rows, and by two that hold half of each table.
"""

import argparse
from pathlib import Path

from metered import cluster, mean_of, slowest, train_on_clicks
from workloads import clicks


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096, help="rows of a global batch")
    parser.add_argument("--steps", type=int, default=40, help="steps of each run")
    parser.add_argument("--data", type=Path, default=Path("runs/benchmarks"), help="folder of the workload's file")
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    workload = clicks(arguments.data, max(1 << 18, arguments.batch * arguments.steps))
    runs = {
        "1 process, 2 threads": (None, False),
        "2 workers, all rows": (2, False),
        "2 workers, half the rows": (2, True),
    }
    base = 0.0
    with cluster():
        for name, (workers, is_spread) in runs.items():
            threads = 1 if workers else 2
            reports = train_on_clicks(workload, arguments.batch, arguments.steps, workers, threads, is_spread)
            step = slowest(reports).step
            base = base or step
            speeds = f"{arguments.batch / step:,.0f} rows/s, {base / step:.2f} of the first"
            print(f"{name}: {speeds}; {step * 1e3:.0f} ms a step", flush=True)
            for part, seconds in sorted(mean_of([report.seconds for report in reports]).items()):
                print(f"    {part}: {seconds * 1e3:.1f} ms")
            sent = mean_of([report.sent for report in reports])
            for kind, bytes_sent in sorted(sent.items()):
                print(f"    sent as {kind}: {bytes_sent / 1e3:,.1f} kB a step")
            if is_spread:
                print(f"    all of the exchange against its rows and ids alone: {exchange_ratio(sent):.3f}")
                print(f"    rows, both ways, against the ids that asked for them: {sent['rows'] / sent['ids']:.1f}")


def exchange_ratio(sent: dict[str, float]) -> float:
    """All bytes of the exchange against those of rows (both ways) and ids alone."""
    return (sent["rows"] + sent["ids"] + sent["counts"]) / (sent["rows"] + sent["ids"])


if __name__ == "__main__":
    main()
