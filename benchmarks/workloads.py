"""What the speed benchmarks train on, described without any library, so that each peer reads the same files.

C  made-up click logs: 13 floats, 26 strings (Zipf 1.05, 10 to 200,000 words), 100,000 buckets x 16 each
M  the same, but 4 of the string columns hold five words in each row
F  real flights (see examples/flights_data.py) with the columns of the demo
A  a made-up table of the size of the census: 6 floats, 8 strings, 32,561 rows
"""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from flights import NUMERIC
from flights_data import LABEL, prepare

ROW_GROUP = 65_536

# Of the click logs: words of each string column, the exponent of their frequencies, and the hidden layers.
CLICK_WORDS = [int(words) for words in np.geomspace(10, 200_000, 26)]
CLICK_ZIPF = 1.05
CLICK_FLOATS, CLICK_BUCKETS, CLICK_DIMENSION, CLICK_HIDDEN = 13, 100_000, 16, [1024, 512, 256]


@dataclass(frozen=True)
class Words:
    """A categorical column: hashed into buckets, or found in a vocabulary; each id has a vector."""

    dimension: int
    buckets: int
    dtype: str = "string"
    vocabulary: list[str] = field(default_factory=list)
    is_multivalent: bool = False


@dataclass(frozen=True)
class Workload:
    """A table in a Parquet file, and the network that learns from it.

    Attributes:
        path: of the file.
        label: its 0/1 column.
        floats: name -> (mean, standard deviation) to normalise with.
        words: categorical columns by name.
        hidden: units of the hidden layers.
    """

    path: str
    label: str
    floats: dict[str, tuple[float, float]]
    words: dict[str, Words]
    hidden: list[int]

    def write(self, path: Path) -> None:
        """Describe the workload in a JSON file."""
        path.write_text(json.dumps(asdict(self)))


def clicks(folder: Path, rows: int, multivalent: int = 0) -> Workload:
    """Made-up clicks; labels follow some of the words and floats, so that there is something to learn.

    Args:
        folder: where the file goes.
        rows: of the table.
        multivalent: how many of the string columns hold five words in each row.
    """
    path = folder / f"clicks-{rows}-{multivalent}.parquet"
    if not path.exists():
        random = np.random.default_rng(0)
        columns, score = {}, np.zeros(rows)
        for place in range(CLICK_FLOATS):
            values = random.normal(size=rows).astype(np.float32)
            columns[f"float{place}"] = pa.array(values)
            score += values / CLICK_FLOATS
        for place, words in enumerate(CLICK_WORDS):
            share = np.cumsum(1 / np.arange(1, words + 1) ** CLICK_ZIPF)
            is_list = place >= len(CLICK_WORDS) - multivalent
            count = rows * (5 if is_list else 1)
            ids = np.searchsorted(share, random.uniform(0, share[-1], count)).astype(np.int32)
            column = pa.DictionaryArray.from_arrays(ids, pa.array([f"w{word}" for word in range(words)])).cast(
                pa.string()
            )
            if is_list:
                columns[f"word{place}"] = pa.ListArray.from_arrays(np.arange(0, count + 1, 5, dtype=np.int32), column)
            else:
                columns[f"word{place}"] = column
                score += (ids % 3 - 1) / 5
        columns["clicked"] = pa.array((random.uniform(size=rows) < 1 / (1 + np.exp(-score))).astype(np.int64))
        pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP)
    names = {
        f"word{place}": Words(CLICK_DIMENSION, CLICK_BUCKETS, is_multivalent=place >= len(CLICK_WORDS) - multivalent)
        for place in range(len(CLICK_WORDS))
    }
    floats: dict[str, tuple[float, float]] = {f"float{place}": (0, 1) for place in range(CLICK_FLOATS)}
    return Workload(str(path), "clicked", floats, names, CLICK_HIDDEN)


def flights(folder: Path) -> Workload:
    """The training months of the flights from New York."""
    data = prepare(folder / "flights")
    words = {
        "carrier": Words(4, 32),
        "dest": Words(4, 256),
        "tailnum": Words(2, 4096),
        "flight": Words(2, 4096, dtype="int64"),
        "origin": Words(2, 3, vocabulary=["EWR", "JFK", "LGA"]),
    }
    return Workload(str(data.train), LABEL, dict(NUMERIC), words, [1024, 512, 256])


def census(folder: Path) -> Workload:
    """A made-up table of the size of the census data, on a small network: what a step costs beside its arithmetic."""
    path, rows = folder / "census.parquet", 32_561
    if not path.exists():
        random = np.random.default_rng(0)
        columns = {f"float{place}": random.normal(size=rows).astype(np.float32) for place in range(6)}
        for place in range(8):
            words = np.array([f"word {word}" for word in range(5 + 5 * place)])
            columns[f"word{place}"] = words[random.integers(0, len(words), rows)]
        columns["label"] = random.integers(0, 2, rows)
        pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP)
    words = {f"word{place}": Words(8, 100) for place in range(8)}
    return Workload(str(path), "label", {f"float{place}": (0, 1) for place in range(6)}, words, [128, 64])
