"""A run against its data, without training: rules, each of which finds one kind of trouble."""

from collections.abc import Iterator
from dataclasses import replace

from raydnn.config.checks.columns import missing_columns, wrong_types
from raydnn.config.checks.evaluation import shifted_means, unseen_words
from raydnn.config.checks.finding import Finding
from raydnn.config.checks.labels import classes_are_there, labels_are_classes
from raydnn.config.checks.memory import enough_memory
from raydnn.config.checks.numbers import constant_columns, missing_numbers, unscaled_numbers
from raydnn.config.checks.words import few_buckets, ids_in_range, short_vocabularies, vocabulary_words
from raydnn.config.profile import Profile
from raydnn.config.run import Run

__all__ = ["Finding", "findings", "vocabulary_words"]

_STOP_THE_RUN = (missing_columns, wrong_types, labels_are_classes, missing_numbers, ids_in_range)
_OF_TRAINING = (unscaled_numbers, constant_columns, classes_are_there, short_vocabularies, few_buckets)
_OF_BOTH = (unseen_words, shifted_means)
_LEVELS = ("error", "warning", "info")


def findings(run: Run, train: Profile, evaluation: Profile | None, memory: int) -> list[Finding]:
    """All that the rules find, errors first.

    Args:
        run: as it was declared.
        train: profile of the rows of data.train, which has watched the words of `vocabulary_words`.
        evaluation: profile of the rows of data.eval, if they are given.
        memory: of this machine, in bytes.
    """
    found = [finding for rule in (*_STOP_THE_RUN, *_OF_TRAINING) for finding in rule(run, train)]
    if evaluation is not None:
        found += _only_in_evaluation(run, evaluation, found)
        found += [finding for rule in _OF_BOTH for finding in rule(run, train, evaluation)]
    found += enough_memory(run, train, memory)
    return sorted(found, key=lambda finding: _LEVELS.index(finding.level))


def _only_in_evaluation(run: Run, evaluation: Profile, found: list[Finding]) -> Iterator[Finding]:
    for rule in _STOP_THE_RUN:
        for finding in rule(run, evaluation):
            if finding not in found:
                yield replace(finding, text=f"in the rows of data.eval: {finding.text}")
