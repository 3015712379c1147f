"""Warm starts: initial values from an earlier model, as a whole, in part, or by vocabulary."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raydnn.estimator.model import Model
from raydnn.export.reader import ExportReader, is_export
from raydnn.feature_column.vocabulary import read_lines
from raydnn.model.variable import Variable
from raydnn.train.checkpoint import VariableReader, load_checkpoint
from raydnn.train.hooks.session_run_hook import GLOBAL_STEP


@dataclass(frozen=True)
class VocabInfo:
    """How a table's rows, or a kernel's columns, move from an old vocabulary to a new one.

    Attributes:
        new_vocab: file with one word a line.
        new_vocab_size: how many first lines count.
        num_oov_buckets: rows behind the vocabulary, which always begin fresh.
        old_vocab: file of the earlier model.
        old_vocab_size: how many first lines count; -1 is all.
        backup_initializer: callable (shape, dtype=...) -> array for words that are new; None is zeros.
        axis: 0 for rows (embedding tables), 1 for columns (kernels of outputs).

    Raises:
        ValueError: another axis.
        TypeError: a backup_initializer that is not callable.
    """

    new_vocab: str
    new_vocab_size: int
    num_oov_buckets: int
    old_vocab: str
    old_vocab_size: int = -1
    backup_initializer: Callable[..., Any] | None = None
    axis: int = 0

    def __post_init__(self) -> None:
        if self.axis not in (0, 1):
            raise ValueError(f"axis must be 0 or 1; got {self.axis}")
        if self.backup_initializer is not None and not callable(self.backup_initializer):
            raise TypeError(f"backup_initializer must be callable; got {self.backup_initializer!r}")

    def remap(self, old: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
        """The new value of a variable.

        Args:
            old: its value in the earlier model.
            shape: of the new one.
            name: for messages.

        Raises:
            ValueError: not a matrix, or sizes that do not fit the vocabularies.
        """
        size = self.new_vocab_size + self.num_oov_buckets
        if old.ndim != 2 or len(shape) != 2 or shape[self.axis] != size:
            raise ValueError(
                f"'{name}' has shape {shape}; axis {self.axis} should be new_vocab_size + num_oov_buckets = {size}"
            )
        if old.shape[1 - self.axis] != shape[1 - self.axis]:
            raise ValueError(f"'{name}' has shape {old.shape} in the earlier model, which does not fit {shape}")
        value = np.zeros(shape, np.float32)
        if self.backup_initializer is not None:
            value = np.asarray(self.backup_initializer(shape, dtype="float32")).astype(np.float32)
        old_words = read_lines(self.old_vocab)[: self.old_vocab_size if self.old_vocab_size > 0 else None]
        place_of = {word: place for place, word in enumerate(old_words)}
        words = read_lines(self.new_vocab)[: self.new_vocab_size]
        moves = [(place, place_of[word]) for place, word in enumerate(words) if word in place_of]
        if moves:
            new_places, old_places = (list(places) for places in zip(*moves, strict=True))
            if max(old_places) >= old.shape[self.axis]:
                raise ValueError(f"'{name}' has {old.shape[self.axis]} rows, fewer than old_vocab has words")
            if self.axis == 0:
                value[new_places] = old[old_places]
            else:
                value[:, new_places] = old[:, old_places]
        return value


@dataclass(frozen=True)
class WarmStartSettings:
    """What to take from an earlier model.

    Attributes:
        ckpt_to_initialize_from: path (str, bytes or PathLike) of a model_dir, checkpoint, or export; of raydnn or of
            TensorFlow.
        vars_to_warm_start: a regular expression for the trainable variables, or a list of them for all variables
            (slots, moving averages and global_step among them); they match at the start of TensorFlow's graph names,
            which end with '/part_0:0'. None takes only the variables of var_name_to_vocab_info.
        var_name_to_vocab_info: variable -> VocabInfo, for those that move to another vocabulary.
        var_name_to_prev_var_name: variable -> its name in the earlier model, where that differs.

    Raises:
        ValueError: no checkpoint.
    """

    ckpt_to_initialize_from: Any
    vars_to_warm_start: str | Sequence[str] | None = ".*"
    var_name_to_vocab_info: Mapping[str, VocabInfo] = field(default_factory=dict)
    var_name_to_prev_var_name: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.ckpt_to_initialize_from
        if not path:
            raise ValueError("ckpt_to_initialize_from must be given")
        object.__setattr__(self, "ckpt_to_initialize_from", os.fsdecode(path))
        for name in ("var_name_to_vocab_info", "var_name_to_prev_var_name"):
            object.__setattr__(self, name, dict(getattr(self, name) or {}))
        wanted = self.vars_to_warm_start
        is_list = isinstance(wanted, list | tuple) and all(isinstance(pattern, str) for pattern in wanted)
        if wanted is not None and not isinstance(wanted, str) and not is_list:
            raise ValueError(f"vars_to_warm_start must be a str, a list of str, or None; got {wanted!r}")


def warm_start_settings(value: Any) -> WarmStartSettings | None:
    """The settings that an estimator's `warm_start_from` means.

    Raises:
        ValueError: it is empty or of another type.
    """
    if value is None or isinstance(value, WarmStartSettings):
        return value
    if isinstance(value, str | bytes | PathLike) and fspath(value):
        return WarmStartSettings(value)
    raise ValueError(f"warm_start_from must be a path or WarmStartSettings; got {value!r}")


def open_variables(path: str) -> VariableReader:
    """The variables of a model_dir, checkpoint or export; of raydnn or of TensorFlow.

    Raises:
        NotFoundError: there is none.
        DataLossError: it is damaged.
    """
    return ExportReader(path) if is_export(path) else load_checkpoint(path)


def warm_start(model: Model, settings: WarmStartSettings, reader: VariableReader) -> list[str]:
    """Replace initial values of a model by those of an earlier one.

    Args:
        model: with its variables made.
        settings: what to take.
        reader: of the earlier model.

    Returns:
        The names of the variables that were replaced, sorted.

    Raises:
        ValueError: a variable that the earlier model lacks or has in another shape, or a name in the settings' maps
            that no chosen variable has.
    """
    variables = model.all_variables()
    chosen = _chosen(settings, variables.values())
    for what in ("var_name_to_vocab_info", "var_name_to_prev_var_name"):
        unused = sorted(set(getattr(settings, what)) - chosen)
        if unused:
            raise ValueError(f"{what} names {', '.join(unused)}, which are not among the variables to warm-start")
    for name in sorted(chosen):
        if name == GLOBAL_STEP:
            model.set_global_step(reader.global_step)
        else:
            variables[name].assign(_earlier_value(name, variables[name].shape, settings, reader), reader.path)
    return sorted(chosen)


def warm_start_step(settings: WarmStartSettings | None) -> int:
    """The global step that a model starts at which has no checkpoint."""
    if settings is None or GLOBAL_STEP not in _chosen(settings, ()):
        return 0
    return open_variables(settings.ckpt_to_initialize_from).global_step


def _earlier_value(
    name: str, shape: tuple[int, ...], settings: WarmStartSettings, reader: VariableReader
) -> NDArray[Any]:
    earlier = settings.var_name_to_prev_var_name.get(name, name)
    if not reader.has_tensor(earlier):
        raise ValueError(f"warm start: {reader.path} has no variable '{earlier}'")
    value = reader.get_tensor(earlier)
    vocabulary = settings.var_name_to_vocab_info.get(name)
    if vocabulary is not None:
        return vocabulary.remap(value, shape, name)
    if value.shape != shape:
        raise ValueError(
            f"warm start: '{earlier}' has shape {value.shape} in {reader.path}, the model needs {shape}; leave it out "
            "with vars_to_warm_start, or give a VocabInfo"
        )
    return value


def _chosen(settings: WarmStartSettings, variables: Iterable[Variable]) -> set[str]:
    """The names of the variables that the settings select."""
    wanted = settings.vars_to_warm_start
    if wanted is None:
        return set(settings.var_name_to_vocab_info)
    graph_names = {variable.name: _graph_name(variable) for variable in variables if variable.trainable}
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    if not isinstance(wanted, str):
        graph_names |= {variable.name: _graph_name(variable) for variable in variables}
        graph_names[GLOBAL_STEP] = f"{GLOBAL_STEP}:0"
    return {name for name, graph in graph_names.items() if any(re.match(pattern, graph) for pattern in patterns)}


def _graph_name(variable: Variable) -> str:
    """The name in TensorFlow's graph: slots stand below their scope once more, which is why saved names have 't_0'."""
    slot = re.fullmatch(r"(.+)/t_(\d+)/(.+)", variable.name)
    if slot is None:
        return f"{variable.name}/part_0:0" if variable.trainable else f"{variable.name}:0"
    scope = variable.name.split("/", 1)[0]
    return f"{scope}/{slot[1]}/part_{slot[2]}/{slot[3]}:0"
