"""When a periodic hook is due."""

import time


class SecondOrStepTimer:
    """Triggers every so many seconds or steps.

    The first step always triggers; the same step never triggers twice.

    Args:
        every_secs: seconds between triggers, or None.
        every_steps: steps between triggers, or None.

    Raises:
        ValueError: both or neither are given.
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        if (every_secs is None) == (every_steps is None):
            raise ValueError(f"give exactly one of seconds ({every_secs}) and steps ({every_steps})")
        self._every_secs = every_secs
        self._every_steps = every_steps
        self.reset()

    def reset(self) -> None:
        """Forget the last trigger."""
        self._last_step: int | None = None
        self._last_time = 0.0

    def last_triggered_step(self) -> int | None:
        """The step of the last trigger."""
        return self._last_step

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether this step is due."""
        if self._last_step is None:
            return True
        if step == self._last_step:
            return False
        if self._every_secs is not None:
            return time.monotonic() >= self._last_time + self._every_secs
        assert self._every_steps is not None
        return step >= self._last_step + self._every_steps

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Note a trigger.

        Returns:
            Seconds and steps since the trigger before, (None, None) for the first.
        """
        now = time.monotonic()
        elapsed = (None, None) if self._last_step is None else (now - self._last_time, step - self._last_step)
        self._last_time, self._last_step = now, step
        return elapsed
