"""Variables of the environment that Ray looks at."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(settings: Mapping[str, str], given_stay: bool = True) -> Iterator[None]:
    """Set variables for as long as the block runs.

    Args:
        settings: name -> value.
        given_stay: whether those that the user has set stay as they are.
    """
    changed = {name: value for name, value in settings.items() if not (given_stay and name in os.environ)}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
