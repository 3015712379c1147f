"""Profiling single steps."""

from pathlib import Path
from typing import Any

import torch

from raydnn.train.hooks.session_run_hook import (
    GLOBAL_STEP,
    Session,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)
from raydnn.train.hooks.timer import SecondOrStepTimer


class ProfilerHook(SessionRunHook):
    """Writes a Chrome trace of a step, `timeline-STEP.json`, every so many steps or seconds, never of the first.

    Args:
        save_steps: steps between traces.
        save_secs: seconds between traces.
        output_dir: local folder of the files.
        show_dataflow: accepted for likeness.
        show_memory: whether memory is traced too.

    Raises:
        ValueError: both or neither of save_steps and save_secs are given.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ) -> None:
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._output_dir = Path(output_dir)
        self._show_memory = show_memory
        self._profile: torch.profiler.profile | None = None

    def after_create_session(self, session: Session, coord: Any) -> None:
        self._timer.reset()
        # The first step warms up and would mislead: it counts as the last one traced.
        self._timer.update_last_triggered_step(session.global_step + 1)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        if self._timer.should_trigger_for_step(run_context.session.global_step + 1):
            self._profile = torch.profiler.profile(profile_memory=self._show_memory)
            self._profile.__enter__()
        return SessionRunArgs(GLOBAL_STEP)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        if self._profile is None:
            return
        profile, self._profile = self._profile, None
        profile.__exit__(None, None, None)
        step = int(run_values.results)
        self._timer.update_last_triggered_step(step)
        self._output_dir.mkdir(parents=True, exist_ok=True)
        profile.export_chrome_trace(str(self._output_dir / f"timeline-{step}.json"))
