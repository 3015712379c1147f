"""Whether the rows to evaluate on are like those that are trained on."""

from collections.abc import Iterator

from raydnn.config.checks.finding import Finding, uses
from raydnn.config.features import Buckets, Hash, Identity, Numeric, Vocabulary
from raydnn.config.profile import Profile
from raydnn.config.run import Run
from raydnn.feature_column.soundness import percent

UNSEEN = 0.1
"""A larger share of values that training never sees is worth a warning."""
NOTED = 0.01
"""A larger share than this is told."""
SHIFT = 0.5
"""So many standard deviations between the means are worth a warning."""


def unseen_words(run: Run, train: Profile, evaluation: Profile) -> Iterator[Finding]:
    """Words of the evaluation that training never sees."""
    for use in uses(run, evaluation, Hash, Identity, Vocabulary):
        known = train.columns.get(use.column)
        if known is None or known.kind != use.data.kind or not use.data.values:
            continue
        shares = use.data.sketch.unseen(known.sketch)
        if shares is not None and shares[1] > NOTED:
            text = f"{percent(shares[1])} of the values of data.eval ({percent(shares[0])} of the words) never occur in"
            text += " data.train, so nothing is learned of them; see whether the rows of both are drawn alike"
            yield Finding("warning" if shares[1] > UNSEEN else "info", use.place, text)


def shifted_means(run: Run, train: Profile, evaluation: Profile) -> Iterator[Finding]:
    """Numbers whose means differ between training and evaluation."""
    for use in uses(run, evaluation, Numeric, Buckets):
        known = train.columns.get(use.column)
        if known is None or not known.moments.std > 0 or not use.data.moments.count:
            continue
        shift = (use.data.moments.mean - known.moments.mean) / known.moments.std
        if abs(shift) > SHIFT:
            text = (
                f"has mean {use.data.moments.mean:.4g} in data.eval and {known.moments.mean:.4g} in data.train, "
                f"{abs(shift):.1f} standard deviations apart; see whether the rows of both are drawn alike"
            )
            yield Finding("warning", use.place, text)
