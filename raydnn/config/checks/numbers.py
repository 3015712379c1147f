"""Whether numbers are there, finite, and of a size that a network learns from."""

from collections.abc import Iterator

from raydnn.config.checks.finding import Finding, uses
from raydnn.config.features import Buckets, MeanAndStd, MinAndMax, Numeric
from raydnn.config.profile import ColumnProfile, Profile
from raydnn.config.run import Run
from raydnn.feature_column.soundness import LARGE, SMALL, percent, scale


def missing_numbers(run: Run, profile: Profile) -> Iterator[Finding]:
    """Numbers that are missing where no default is given, or NaN or infinite."""
    for use in uses(run, profile, Numeric, Buckets):
        data = use.data
        # A missing list is one of a wrong length.
        missing = data.missing_values if data.is_list else data.missing
        if missing and use.feature.default is None:
            known = "" if data.kind in ("null", "string") else f", such as the mean {data.moments.mean:.6g}"
            text = (
                f"{missing:,} values ({percent(missing / (missing + data.values))}) are missing; give a default{known}"
            )
            yield Finding("error", use.place, text)
        if data.not_finite:
            text = f"{data.not_finite:,} values are NaN or infinite and would make the loss NaN; mend the data"
            yield Finding("error", use.place, text)
    weight = run.data.weight
    if weight is not None and weight in profile.columns:
        data = profile.columns[weight]
        if data.missing or data.not_finite:
            text = f"{data.missing + data.not_finite:,} weights are missing, NaN or infinite; mend the data"
            yield Finding("error", ("data", "weight"), text)
        if data.moments.min < 0:
            text = f"goes down to {data.moments.min:g}; rows of negative weight teach the contrary of their label"
            yield Finding("warning", ("data", "weight"), text)


def unscaled_numbers(run: Run, profile: Profile) -> Iterator[Finding]:
    """Numbers that are far from mean 0 and standard deviation 1 where they enter the network."""
    for use in uses(run, profile, Numeric):
        moments = use.data.moments
        scaled = _normalized(use.feature.normalize, use.data)
        if scaled is None or not moments.std > 0:
            continue
        mean, std, farthest = scaled
        if abs(mean) > LARGE or std > LARGE or farthest < SMALL:
            text = f"{scale(mean, std)}; write normalize: {{mean: {moments.mean:.6g}, std: {moments.std:.6g}}}"
            yield Finding("warning", use.place, text)


def _normalized(normalize: object, data: ColumnProfile) -> tuple[float, float, float] | None:
    """Mean, deviation and largest absolute number after normalisation; None where that is not known."""
    moments = data.moments
    if normalize == "log1p":
        logs = data.log_moments
        return logs.mean, logs.std, logs.max
    if isinstance(normalize, MeanAndStd):
        shift, scale = normalize.mean, normalize.std
    elif isinstance(normalize, MinAndMax):
        shift, scale = normalize.min, normalize.max - normalize.min
    elif normalize is None:
        shift, scale = 0.0, 1.0
    else:
        return None
    farthest = max(abs(moments.min - shift), abs(moments.max - shift))
    return (moments.mean - shift) / scale, moments.std / scale, farthest / scale


def constant_columns(run: Run, profile: Profile) -> Iterator[Finding]:
    """Columns that are the same in all rows, or have no value at all."""
    for use in uses(run, profile):
        data = use.data
        if not data.values:
            yield Finding("warning", use.place, "has no value in any row; leave the feature out")
        elif data.distinct == 1 and not data.missing and not data.not_finite and not data.lengths.std > 0:
            value = data.sketch.top(1)[0][0]
            yield Finding("warning", use.place, f"is {value!r} in all rows; leave the feature out")
