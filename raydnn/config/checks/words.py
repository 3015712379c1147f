"""Whether words and ids find their place: in a vocabulary, below the number of ids, in buckets of their own."""

from collections.abc import Iterator
from math import prod

import pyarrow as pa

from raydnn.config.checks.finding import Finding, uses
from raydnn.config.features import Buckets, Cross, Hash, Identity, Vocabulary
from raydnn.config.profile import Profile
from raydnn.config.run import Run
from raydnn.errors import ConfigError, OpError
from raydnn.feature_column.soundness import (
    COLLIDING,
    MISSED,
    colliding_share,
    collision,
    hash_buckets,
    lack,
    percent,
)
from raydnn.feature_column.vocabulary import VocabularyFileCategoricalColumn, VocabularyListCategoricalColumn
from raydnn.feature_column.weighted import WeightedCategoricalColumn


def vocabulary_words(run: Run) -> dict[str, pa.Array]:
    """Column -> its vocabulary, string or int64; a column with several is left out.

    Raises:
        ConfigError: a vocabulary file is not there or not good.
    """
    words: dict[str, list[pa.Array]] = {}
    for wrapper in run.feature_columns():
        column = getattr(wrapper, "categorical_column", None)
        if isinstance(column, WeightedCategoricalColumn):
            column = column.categorical_column
        if isinstance(column, VocabularyListCategoricalColumn | VocabularyFileCategoricalColumn):
            try:
                words.setdefault(column.key, []).append(column.words)
            except OpError as error:
                raise ConfigError(str(error)) from error
    return {name: found[0] for name, found in words.items() if len(found) == 1}


def short_vocabularies(run: Run, profile: Profile) -> Iterator[Finding]:
    """Vocabularies that miss many values; the profile has watched their words."""
    for use in uses(run, profile, Vocabulary):
        data, feature = use.data, use.feature
        present = data.values - (data.absent - data.missing)
        if data.watched is None or data.kind not in ("string", "integer") or present <= 0:
            continue
        missed = (present - data.watched) / present
        if missed > MISSED:
            has_place = feature.num_oov_buckets > 0 or feature.default is not None
            text = lack(missed) + (
                ", which share the ids of unknown words"
                if has_place
                else "; add words, write num_oov_buckets, or take hash instead"
            )
            yield Finding("info" if has_place else "warning", (*use.place, "vocabulary"), text)


def ids_in_range(run: Run, profile: Profile) -> Iterator[Finding]:
    """Ids outside of their range."""
    shared = {name for each in run.shared_embeddings for name in each.columns}
    for use in uses(run, profile, Identity):
        data, ids = use.data, use.feature.identity
        if data.kind != "integer" or use.feature.default is not None:
            continue
        if data.moments.max >= ids:
            text = (
                f"goes up to {data.moments.max:.0f}, and identity {ids} ends at {ids - 1}; raise it, or give a default"
            )
            is_embedded = use.feature.embed is not None or use.place[1] in shared
            yield Finding("error" if is_embedded else "warning", (*use.place, "identity"), text)
        if data.moments.min < -1:
            text = f"goes down to {data.moments.min:.0f}; negative ids count as missing"
            yield Finding("warning", (*use.place, "identity"), text)


def few_buckets(run: Run, profile: Profile) -> Iterator[Finding]:
    """Hash buckets that many words have to share."""
    for use in uses(run, profile, Hash):
        words, buckets = use.data.distinct, use.feature.hash
        if colliding_share(words, buckets) > COLLIDING:
            wider = hash_buckets(words)
            text = f"{collision(words, buckets)}; write hash: {wider} for {percent(colliding_share(words, wider))}"
            yield Finding("warning", (*use.place, "hash"), text)
    for name, feature in run.features.items():
        if isinstance(feature, Cross):
            yield from _of_cross(run, profile, name, feature)


def _of_cross(run: Run, profile: Profile, name: str, cross: Cross) -> Iterator[Finding]:
    sizes = []
    for part in cross.cross:
        feature = run.features.get(part)
        column = part if feature is None or isinstance(feature, str) else feature.column or part
        if isinstance(feature, Buckets):
            sizes.append(len(feature.buckets) + 1)
        elif column in profile.columns:
            sizes.append(max(profile.columns[column].distinct, 1))
        else:
            return
    pairs = min(prod(sizes), profile.rows)
    colliding = colliding_share(pairs, cross.hash)
    if colliding > COLLIDING:
        text = f"of up to {pairs:,} combinations about {percent(colliding)} share one of {cross.hash:,} buckets"
        yield Finding("info", ("features", name, "hash"), f"{text}; raise hash if each matters")
