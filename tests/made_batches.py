"""Batches one by one, as training gets them, but made in this thread."""

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from raydnn.inputs.batch import Batch
from raydnn.inputs.dataset import Dataset
from raydnn.inputs.stream import Part, Reader, given_parts, made_together, planned_parts, streamed_parts


def planned_batches(dataset: Dataset, reader: Reader, **options: Any) -> Generator[Batch, None, None]:
    """The batches of a data set whose source is fragments."""
    return _batches(planned_parts(dataset, reader, **options), reader)


def streamed_batches(dataset: Dataset, reader: Reader, **options: Any) -> Generator[Batch, None, None]:
    """The batches of a data set whose source is windows."""
    return _batches(streamed_parts(dataset, reader, **options), reader)


def given_batches(items: Iterable[tuple[Any, Any]], reader: Reader) -> Generator[Batch, None, None]:
    """The batches that a user made."""
    return _batches(given_parts(items, reader), reader)


def _batches(parts: Iterator[Part], reader: Reader) -> Generator[Batch, None, None]:
    for together in made_together(parts, reader):
        yield from together
