"""How the cost of training grows with tables, columns, workers and batches.

    python benchmarks/growth.py

Made-up words and floats in memory train the network of the click logs (see `benchmarks/workloads.py`) for some steps;
one property changes at a time. Speeds relative to the first of their kind can be compared between machines. Figures
of the kinds that are measured go into the folder of the pictures: FIGURES.md shows all that are there.
"""

import argparse
import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.ticker import NullLocator
from metered import WARM_UP, cluster, slowest, train
from workloads import CLICK_DIMENSION, CLICK_FLOATS, CLICK_HIDDEN

import raydnn
from raydnn.feature_column import categorical_column_with_identity, embedding_column, numeric_column


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        table_rows: of all tables together.
        columns: of words, each with a table of its own.
        workers: of one thread each, over which the tables are spread; None is this process, with `threads`.
        batch: rows of a global batch.
        threads: of each process.
    """

    table_rows: int = 2_600_000
    columns: int = 26
    workers: int | None = None
    batch: int = 4096
    threads: int = 2


GROWTH: dict[str, list[Case]] = {
    "table_rows": [Case(table_rows=rows) for rows in (10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)],
    "columns": [Case(columns=columns) for columns in (5, 20, 50, 100, 200)],
    "workers": [Case(workers=workers, threads=1) for workers in (1, 2, 4)],
    "batch": [Case(batch=batch) for batch in (128, 512, 2048, 4096, 16_384)],
}
TITLES = {
    "table_rows": "rows of all tables",
    "columns": "columns of words",
    "workers": "workers of one thread",
    "batch": "rows of a batch",
}


def seconds_a_step(case: Case, steps: int) -> dict[str, float]:
    """What the parts of a step take on the slowest worker."""
    random = np.random.default_rng(0)
    rows, words = case.batch * 4, max(case.table_rows // case.columns, 1)
    # Most words are few, whatever the size of the table.
    columns: dict[str, Any] = {
        f"word{place}": (words ** random.random(rows)).astype(np.int64) - 1 for place in range(case.columns)
    }
    columns |= {f"float{place}": random.normal(size=rows).astype(np.float32) for place in range(CLICK_FLOATS)}
    table = pa.table(columns | {"clicked": random.integers(0, 2, rows)})
    features = [numeric_column(f"float{place}") for place in range(CLICK_FLOATS)]
    features += [
        embedding_column(categorical_column_with_identity(f"word{place}", words), CLICK_DIMENSION)
        for place in range(case.columns)
    ]
    reports = train(
        CLICK_HIDDEN,
        features,
        lambda: raydnn.inputs.from_arrow(table, label="clicked", batch_size=case.batch, num_epochs=None),
        steps=steps,
        workers=case.workers,
        threads=case.threads,
        is_spread=True,
    )
    return slowest(reports).seconds


def measure(kind: str, steps: int) -> list[dict[str, Any]]:
    """Train all cases of a kind.

    Returns:
        For each the case, 'seconds' of the parts of a step, and 'speed' in rows a second.
    """
    figures = []
    for case in GROWTH[kind]:
        with cluster() if case.workers else nullcontext():
            seconds = seconds_a_step(case, steps)
        figures.append({**asdict(case), "seconds": seconds, "speed": case.batch / sum(seconds.values())})
        relative = figures[-1]["speed"] / figures[0]["speed"]
        print(f"{kind} {figures[-1][kind]:,}: {figures[-1]['speed']:,.0f} rows/s, {relative:.2f}", flush=True)
    return figures


def plot(path: Path, kind: str, figures: list[dict[str, Any]]) -> None:
    """Draw the relative speeds of one kind, each point with its rows a second."""
    values = [figure[kind] for figure in figures]
    speeds = [figure["speed"] for figure in figures]
    relative = [speed / speeds[0] for speed in speeds]
    # Text stays text, and the same figures give the same file.
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": kind, "font.family": "sans-serif", "font.size": 9}):
        figure, axes = plt.subplots(figsize=(4.8, 2.8))
        axes.plot(values, relative, marker="o", color="#2563a8")
        for value, height, speed in zip(values, relative, speeds, strict=True):
            place, box = (0, 8), {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            axes.annotate(f"{speed:,.0f}", (value, height), place, textcoords="offset points", ha="center", bbox=box)
        axes.set(xscale="log", xlabel=TITLES[kind], ylabel="rows/s, relative", ylim=(0, 1.25 * max(relative)))
        axes.set_xticks(values, [_short(value) for value in values])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.09)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd")
        axes.set_axisbelow(True)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def table_of(kind: str, figures: list[dict[str, Any]]) -> str:
    """The figures of one kind as Markdown, with the largest parts of a step."""
    lines = [f"| {TITLES[kind]} | rows/s | against the first | a step | of it |", "|---|---|---|---|---|"]
    for figure in figures:
        step = sum(figure["seconds"].values())
        parts = sorted(figure["seconds"].items(), key=lambda part: -part[1])
        shares = ", ".join(f"{part} {seconds / step:.0%}" for part, seconds in parts if seconds >= 0.02 * step)
        relative = figure["speed"] / figures[0]["speed"]
        lines.append(
            f"| {figure[kind]:,} | {figure['speed']:,.0f} | {relative:.2f} | {step * 1e3:,.1f} ms | {shares} |"
        )
    return "\n".join(lines)


def write_page(folder: Path) -> None:
    """Draw all figures of a folder, and show them with their tables in its FIGURES.md."""
    blocks = ["# How training grows", "Written by `benchmarks/growth.py`."]
    for kind, title in TITLES.items():
        if (folder / f"{kind}.json").exists():
            figures = json.loads((folder / f"{kind}.json").read_text())
            plot(folder / f"{kind}.svg", kind, figures)
            blocks += [f"## {title.capitalize()}", f"![rows/s by {title}]({kind}.svg)", table_of(kind, figures)]
    (folder / "FIGURES.md").write_text("\n\n".join(blocks) + "\n")


def _short(value: int) -> str:
    return f"{value / 1e6:g}M" if value >= 1_000_000 else f"{value:,}"


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(GROWTH), default=list(GROWTH))
    parser.add_argument("--steps", type=int, default=25, help=f"of each training, {WARM_UP} of which do not count")
    parser.add_argument("--plots", type=Path, default=Path(__file__).parent / "growth", help="folder of the pictures")
    arguments = parser.parse_args()
    if arguments.steps <= WARM_UP:
        parser.error(f"--steps must be more than {WARM_UP}, which do not count; got {arguments.steps}")
    arguments.plots.mkdir(parents=True, exist_ok=True)
    for kind in arguments.kinds:
        (arguments.plots / f"{kind}.json").write_text(json.dumps(measure(kind, arguments.steps), indent=1) + "\n")
        write_page(arguments.plots)


if __name__ == "__main__":
    main()
