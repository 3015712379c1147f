"""Exporters: what is exported after an evaluation, and which exports are kept."""

import inspect
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from raydnn import storage
from raydnn.tracking.event_file import read_scalars

if TYPE_CHECKING:
    from raydnn.estimator.estimator import Estimator

logger = logging.getLogger(__name__)

Metrics = Mapping[str, Any]
ReceiverFn = Callable[[], Any]


class Exporter(ABC):
    """Exports a model after an evaluation, or not."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Names the folder below model_dir/export."""

    @abstractmethod
    def export(
        self,
        estimator: "Estimator",
        export_path: str,
        checkpoint_path: str,
        eval_result: Metrics,
        is_the_final_export: bool,
    ) -> bytes | None:
        """Export if this exporter's rule says so.

        Args:
            estimator: whose model is exported.
            export_path: folder for this exporter's exports.
            checkpoint_path: the evaluated checkpoint.
            eval_result: its metrics.
            is_the_final_export: whether training has ended.

        Returns:
            The path of the export, or None.
        """


class _SavedModelExporter(Exporter):
    """What the three exporters share: how to export, and how many exports to keep."""

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: ReceiverFn | None,
        assets_extra: Mapping[str, str] | None,
        as_text: bool,
        exports_to_keep: int | None,
    ) -> None:
        if exports_to_keep is not None and exports_to_keep <= 0:
            raise ValueError(f"exports_to_keep must be positive, or None to keep all; got {exports_to_keep}")
        self._name = name
        self._serving_input_receiver_fn = serving_input_receiver_fn
        self._assets_extra = assets_extra
        self._as_text = as_text
        self._exports_to_keep = exports_to_keep

    @property
    def name(self) -> str:
        return self._name

    def _export(self, estimator: "Estimator", export_path: str, checkpoint_path: str) -> bytes:
        if self._serving_input_receiver_fn is None:
            raise ValueError(f"the exporter '{self.name}' needs a serving_input_receiver_fn")
        path = estimator.export_saved_model(
            export_path, self._serving_input_receiver_fn, self._assets_extra, self._as_text, checkpoint_path
        )
        if self._exports_to_keep is not None:
            exports = [name for name in storage.list_folder(export_path) if re.fullmatch(r"\d{10}", name)]
            for old in exports[: -self._exports_to_keep]:
                storage.remove_folder(storage.join(export_path, old))
        return path


class LatestExporter(_SavedModelExporter):
    """Exports after every evaluation and keeps the newest.

    Args:
        name: names the folder below model_dir/export.
        serving_input_receiver_fn: as `Estimator.export_saved_model` takes it.
        assets_extra, as_text: see there.
        exports_to_keep: how many; None keeps all.

    Raises:
        ValueError: exports_to_keep is not positive.
    """

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: ReceiverFn,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text, exports_to_keep)

    def export(
        self,
        estimator: "Estimator",
        export_path: str,
        checkpoint_path: str,
        eval_result: Metrics,
        is_the_final_export: bool,
    ) -> bytes | None:
        return self._export(estimator, export_path, checkpoint_path)


class FinalExporter(_SavedModelExporter):
    """Exports once, when training has ended.

    Args:
        name: names the folder below model_dir/export.
        serving_input_receiver_fn: as `Estimator.export_saved_model` takes it.
        assets_extra, as_text: see there.
    """

    def __init__(
        self,
        name: str,
        serving_input_receiver_fn: ReceiverFn,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text, exports_to_keep=None)

    def export(
        self,
        estimator: "Estimator",
        export_path: str,
        checkpoint_path: str,
        eval_result: Metrics,
        is_the_final_export: bool,
    ) -> bytes | None:
        return self._export(estimator, export_path, checkpoint_path) if is_the_final_export else None


def loss_is_smaller(best_eval_result: Metrics, current_eval_result: Metrics) -> bool:
    """Whether the current loss is smaller than the best one.

    Raises:
        ValueError: a result is empty or has no loss.
    """
    for what, result in (("best_eval_result", best_eval_result), ("current_eval_result", current_eval_result)):
        if not result or "loss" not in result:
            raise ValueError(f"{what} has no loss: {result}")
    return bool(current_eval_result["loss"] < best_eval_result["loss"])


class BestExporter(_SavedModelExporter):
    """Exports whenever an evaluation is better than all before, and always at its first.

    Args:
        name: names the folder below model_dir/export.
        serving_input_receiver_fn: as `Estimator.export_saved_model` takes it.
        event_file_pattern: event files below model_dir in which earlier evaluations are looked up; None looks up none.
            For an EvalSpec named NAME it is 'eval_NAME/*.tfevents.*'.
        compare_fn: (best_eval_result, current_eval_result) -> whether the current one is better.
        assets_extra, as_text: see `Estimator.export_saved_model`.
        exports_to_keep: how many; None keeps all.

    Raises:
        ValueError: exports_to_keep is not positive, or a compare_fn with other arguments.
    """

    def __init__(
        self,
        name: str = "best_exporter",
        serving_input_receiver_fn: ReceiverFn | None = None,
        event_file_pattern: str | None = "eval/*.tfevents.*",
        compare_fn: Callable[..., bool] = loss_is_smaller,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        exports_to_keep: int | None = 5,
    ) -> None:
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text, exports_to_keep)
        wanted = {"best_eval_result", "current_eval_result"}
        if compare_fn is None or set(inspect.signature(compare_fn).parameters) != wanted:
            raise ValueError(f"compare_fn must have exactly the arguments {', '.join(sorted(wanted))}")
        self._event_file_pattern = event_file_pattern
        self._compare_fn = compare_fn
        self._best: dict[str, Any] | None = None
        self._model_dir: str | None = None
        self._has_exported = False

    def export(
        self,
        estimator: "Estimator",
        export_path: str,
        checkpoint_path: str,
        eval_result: Metrics,
        is_the_final_export: bool,
    ) -> bytes | None:
        if self._model_dir != estimator.model_dir:
            self._model_dir = estimator.model_dir
            self._best = self._best_so_far(estimator.model_dir)
        is_better = self._best is None or not self._has_exported or self._compare(self._best, eval_result)
        if not is_better:
            logger.info("%s: the evaluation is not better than the best, nothing is exported", self.name)
            return None
        self._best = dict(eval_result)
        path = self._export(estimator, export_path, checkpoint_path)
        self._has_exported = True
        return path

    def _best_so_far(self, model_dir: str) -> dict[str, Any] | None:
        """The best evaluation in the event files, or None."""
        if self._event_file_pattern is None:
            return None
        folder = storage.join(model_dir, self._event_file_pattern.rpartition("/")[0])
        best: dict[str, Any] | None = None
        for _, result in sorted(read_scalars(folder).items()):
            if best is None or self._compare(best, result):
                best = dict(result)
        return best

    def _compare(self, best: Metrics, current: Metrics) -> bool:
        return self._compare_fn(best_eval_result=best, current_eval_result=current)
