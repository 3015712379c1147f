"""Warnings that are given once of each model."""

import logging

import pytest

from raydnn.warn_once import warn_once


def test_a_subject_of_a_model_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("raydnn.test")
    for model_dir, subject in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "x")):
        warn_once(logger, f"warned/{model_dir}", subject, f"{model_dir} {subject} 5 %")
    assert caplog.messages == ["a x 5 %", "a y 5 %", "b x 5 %"]
