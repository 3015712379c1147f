"""What a step would cost on many workers with a billion embedding rows, estimated from costs measured here.

    python benchmarks/scale_model.py

The formulae stand in `scale_formulae.py`. Their costs come from trainings in one process and from bare processes that
send to each other (`scale_costs.py`); trainings with workers are what the model is checked against, and no part of the
fit.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from metered import WARM_UP, cluster, mean_of, slowest, train_on_clicks
from scale_costs import FIT_ROWS, measure_costs, measured_step
from scale_formulae import Costs, Line, memory, on_network, own_step, shared_step, volume_of
from workloads import CLICK_BUCKETS, CLICK_WORDS, Workload, clicks

WORKERS, ESTIMATED = (1, 2, 4), (8, 16, 32, 64)


def main() -> None:
    """Measure, check and estimate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help=f"of each training, {WARM_UP} of which do not count")
    parser.add_argument("--batches", type=int, nargs="+", default=[4096, 2048], help="global batches of the check")
    parser.add_argument("--table-rows", type=int, default=1_000_000_000, help="of the estimate")
    parser.add_argument("--rows", type=int, default=2048, help="of a worker's batch in the estimate")
    parser.add_argument("--cores", type=int, default=4, help="of a worker in the estimate")
    parser.add_argument("--bandwidth-gbit", type=float, default=25.0, help="of a worker's network")
    parser.add_argument("--latency-us", type=float, default=30.0, help="of the network, for one message")
    parser.add_argument("--data", type=Path, default=Path("runs/benchmarks"), help="folder of the workload's file")
    parser.add_argument("--costs", type=Path, help="JSON file: if it exists, it is estimated from and nothing measured")
    arguments = parser.parse_args()
    if arguments.steps <= WARM_UP:
        parser.error(f"--steps must be more than {WARM_UP}, which do not count; got {arguments.steps}")
    if arguments.costs is not None and arguments.costs.exists():
        costs = read_costs(arguments.costs)
    else:
        print(f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute: others spoil the figures")
        arguments.data.mkdir(parents=True, exist_ok=True)
        workload = clicks(arguments.data, max(1 << 18, max(*FIT_ROWS, *arguments.batches) * arguments.steps))
        costs = measure_costs(workload, arguments.steps)
        print(described(costs), end="\n\n")
        check(costs, workload, arguments.batches, arguments.steps)
        if arguments.costs is not None:
            arguments.costs.write_text(json.dumps(asdict(costs), indent=1) + "\n")
    there = on_network(costs, arguments.bandwidth_gbit, arguments.latency_us * 1e-6)
    print(
        f"\n{arguments.table_rows:,} rows of tables, {arguments.rows:,} rows and {arguments.cores} cores a worker, "
        f"{arguments.bandwidth_gbit:g} Gbit/s, {arguments.latency_us:g} microseconds:\n"
    )
    print("\n".join(estimate(there, arguments.table_rows, arguments.rows, arguments.cores)))
    print()
    print("\n".join(limits(there, arguments.table_rows, arguments.rows, arguments.cores, ESTIMATED[-1])))


def check(costs: Costs, workload: Workload, batches: Sequence[int], steps: int) -> None:
    """Measure trainings with workers, and print what the model says of them.

    In the table times are measured / modelled, in milliseconds.
    """
    print("| workers | batch | a step | error | compute | update | exchange | sums | waiting | for rows | for sums |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for workers in WORKERS:
        for batch in batches:
            with cluster():
                reports = train_on_clicks(workload, batch, steps, workers, 1, True)
            sent = mean_of([report.sent for report in reports])
            volume = volume_of(CLICK_WORDS, batch / workers, workers, CLICK_BUCKETS)
            model = shared_step(costs, volume, batch / workers, workers, os.cpu_count() or 1)
            parts = [measured_step(report) for report in reports]
            shown = [
                f"{sum(getattr(part, name) for part in parts) / workers * 1e3:.1f} / {getattr(model, name) * 1e3:.1f}"
                for name in ("compute", "update", "exchange", "sums")
            ]
            step = slowest(reports).step
            exchanged = sum(sent.get(kind, 0.0) for kind in ("ids", "rows", "counts")) if workers > 1 else 0.0
            print(
                f"| {workers} | {batch} | {step * 1e3:.0f} / {model.total * 1e3:.0f} | {model.total / step - 1:+.0%} | "
                + " | ".join(shown)
                + f" | {model.waiting * 1e3:.1f} | {exchanged / 1e3:,.0f} / {volume.exchange / 1e3:,.0f} kB "
                f"| {sent.get('summed gradients', 0.0) / 1e3:,.0f} / {volume.dense / 1e3:,.0f} kB |",
                flush=True,
            )


def estimate(costs: Costs, table_rows: int, rows: int, cores: int) -> list[str]:
    """What many workers would need, as a table in Markdown.

    Args:
        costs: on the network.
        table_rows: of all tables together.
        rows: of each worker's batch.
        cores: of each worker.
    """
    vocabularies = vocabularies_of(table_rows)
    alone = rows / own_step(costs, volume_of(vocabularies, rows, 1), rows, 1, cores).total
    lines = [
        "| workers | memory | rows sent | ids | gradients | dense | compute | update | exchange | sums | waiting "
        "| a step | rows/s | of linear |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for workers in ESTIMATED:
        volume = volume_of(vocabularies, rows, workers)
        step = own_step(costs, volume, rows, workers, cores)
        speed = workers * rows / step.total
        sent = (volume.rows, volume.ids, volume.gradients, volume.dense)
        times = (step.compute, step.update, step.exchange, step.sums, step.waiting, step.total)
        lines.append(
            f"| {workers} | {memory(table_rows, workers, costs) / 1e9:.1f} GB | "
            + " | ".join(f"{count / 1e6:.2f} MB" for count in sent)
            + " | "
            + " | ".join(f"{seconds * 1e3:.1f} ms" for seconds in times)
            + f" | {speed:,.0f} | {speed / workers / alone:.2f} |"
        )
    return lines


def vocabularies_of(table_rows: int) -> list[int]:
    """Words of the columns, in the ratios of the click logs, with so many rows of tables in all."""
    return [round(words * table_rows / sum(CLICK_WORDS)) for words in CLICK_WORDS]


def limits(costs: Costs, table_rows: int, rows: int, cores: int, workers: int) -> list[str]:
    """From where on the exchange takes longer than compute; one thing changes at a time.

    Args:
        costs: on the network.
        table_rows: of all tables together.
        rows: of each worker's batch.
        cores: of each worker.
        workers: their number, where it does not change.
    """
    vocabularies = vocabularies_of(table_rows)

    def is_bound(rows: int, workers: int, cores: int, costs: Costs) -> bool:
        step = own_step(costs, volume_of(vocabularies, rows, workers), rows, workers, cores)
        return step.exchange > step.compute

    def first(values: Sequence[int], bound: Callable[[int], bool]) -> str:
        return next((f"{value:,}" for value in values if bound(value)), f"none up to {max(values):,}")

    def slower(gbit: int) -> Costs:
        return replace(costs, exchange=Line(costs.exchange.fixed, max(costs.exchange.each, 8e-9 / gbit)))

    powers = [1 << power for power in range(17)]
    return [
        "The exchange takes longer than forward and backward pass",
        f"- from so many workers on: {first(powers, lambda value: is_bound(rows, value, cores, costs))}",
        f"- with {workers} workers, at so many rows a worker: "
        + first(powers[::-1], lambda value: is_bound(value, workers, cores, costs)),
        f"- with {workers} workers, at so many Gbit/s: "
        + first(range(100, 0, -1), lambda value: is_bound(rows, workers, cores, slower(value))),
        f"- with {workers} workers, at so many cores each: "
        + first(powers, lambda value: is_bound(rows, workers, value, costs)),
    ]


def read_costs(path: Path) -> Costs:
    """The costs that an earlier run has written."""
    found = json.loads(path.read_text())
    values: dict[str, Any] = {
        name: Line(**value) if isinstance(value, dict) else value for name, value in found.items()
    }
    return Costs(**values)


def described(costs: Costs) -> str:
    """The costs in words."""
    return "\n".join(
        [
            f"compute: {costs.compute.fixed * 1e3:.2f} ms + {costs.compute.each * 1e6:.1f} us a row",
            f"update: {costs.update.fixed * 1e3:.2f} ms + {costs.update.each * 1e9:.0f} ns a touched row"
            f" + {costs.sum_row * 1e9:.0f} ns a received gradient",
            f"all-to-all: {costs.exchange.fixed * 1e6:.0f} us a message, {1e-9 / costs.exchange.each:.2f} GB/s",
            f"all-reduce: {costs.sums.fixed * 1e6:.0f} us a message, {1e-9 / costs.sums.each:.2f} GB/s",
            f"{costs.busy:.2f} cores busy; a core is {costs.crowding:.2f} times slower when all are",
            f"{costs.overhead / 1e6:,.0f} MB of memory beside the tables",
        ]
    )


if __name__ == "__main__":
    main()
