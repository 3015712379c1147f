"""Warnings that a process gives once of each model, however often it comes across their cause."""

import logging

_told: set[tuple[str, str]] = set()


def warn_once(logger: logging.Logger, model_dir: str, subject: str, text: str) -> None:
    """Log a warning, unless there was one about this subject in this process.

    Args:
        logger: takes it.
        model_dir: of the model that it is about.
        subject: such as the name of a column.
        text: the warning.
    """
    if (model_dir, subject) not in _told:
        _told.add((model_dir, subject))
        logger.warning("%s", text)
