"""What a check finds, and the features that checks go through."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from raydnn.config.document import Place
from raydnn.config.features import Cross, Numeric
from raydnn.config.profile import ColumnProfile, Profile
from raydnn.config.run import Run

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Something that a check has found.

    Attributes:
        level: error: training or evaluation would stop; warning: the model would be worse than it could be; info: good
            to know.
        place: of the key that it is about.
        text: what was found, and what to do about it.
    """

    level: Level
    place: Place
    text: str

    @property
    def key(self) -> str:
        """The key as text, such as 'features.age.normalize'."""
        return ".".join(map(str, self.place))


@dataclass(frozen=True)
class Use:
    """A feature that reads a column of the data.

    Attributes:
        place: of the feature.
        column: name of the column.
        feature: its section.
        data: what is in the column.
    """

    place: Place
    column: str
    feature: Any
    data: ColumnProfile


def uses(run: Run, profile: Profile, *kinds: type) -> Iterator[Use]:
    """The features of some kinds whose columns are there; crosses are none.

    Args:
        run: with the features.
        profile: of the rows.
        kinds: sections of `raydnn.config.features`; none takes all.
    """
    for name, written in run.features.items():
        feature = Numeric() if isinstance(written, str) else written
        column = column_of(name, written)
        if isinstance(feature, kinds or object) and not isinstance(feature, Cross) and column in profile.columns:
            yield Use(("features", name), column, feature, profile.columns[column])


def column_of(name: str, feature: Any) -> str:
    """The column of the data that a feature reads."""
    return name if isinstance(feature, str) else feature.column or name
