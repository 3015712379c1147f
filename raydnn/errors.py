"""Errors that a running model raises, named as TensorFlow names them.

    OpError                          anything found while a step runs
      InvalidArgumentError           also a ValueError: a value does not fit (label out of range, id too large)
      NotFoundError                  also a LookupError: a file or a variable is not there
      FailedPreconditionError        also a RuntimeError: the state does not allow it
      UnimplementedError             also a NotImplementedError: the types do not support it
      OutOfRangeError                also an EOFError: the input has ended
      DataLossError                  also an OSError: stored bytes are damaged
      AbortedError                   also a RuntimeError: stopped by the cluster
      UnavailableError               also a ConnectionError: a part of the cluster is away
      ResourceExhaustedError         also an OSError: no room is left on a disk
      PermissionDeniedError          also a PermissionError: a file system may not be written
    NanLossDuringTrainingError       a RuntimeError, raised by NanTensorHook
    TrainingStoppedError             a RuntimeError: training was asked to stop, by a signal
    ConfigError                      a ValueError: a run that is declared in YAML cannot be

In TensorFlow these classes derive from Exception alone. Here each also derives from the natural Python
exception, so that plain Python code can catch what it expects.
"""

__all__ = [
    "AbortedError",
    "ConfigError",
    "DataLossError",
    "FailedPreconditionError",
    "InvalidArgumentError",
    "NanLossDuringTrainingError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "TrainingStoppedError",
    "UnavailableError",
    "UnimplementedError",
]


class OpError(Exception):
    """Base of the errors found while a step runs."""


class InvalidArgumentError(OpError, ValueError):
    """A value does not fit what the model expects."""


class NotFoundError(OpError, LookupError):
    """A file, a checkpoint or a variable is not there."""


class FailedPreconditionError(OpError, RuntimeError):
    """The state of the system does not allow the operation."""


class UnimplementedError(OpError, NotImplementedError):
    """The operation does not exist for these types."""


class OutOfRangeError(OpError, EOFError):
    """The input has ended."""


class DataLossError(OpError, OSError):
    """Stored bytes are damaged or incomplete."""


class AbortedError(OpError, RuntimeError):
    """The operation was stopped by the cluster."""


class UnavailableError(OpError, ConnectionError):
    """A part of the cluster cannot be reached. For code that catches it; nothing here raises it."""


class ResourceExhaustedError(OpError, OSError):
    """No room is left on a disk."""


class PermissionDeniedError(OpError, PermissionError):
    """A file system may not be written."""


class NanLossDuringTrainingError(RuntimeError):
    """The training loss became NaN."""

    def __init__(self, message: str = "NaN loss during training.") -> None:
        super().__init__(message)


class TrainingStoppedError(RuntimeError):
    """Training was asked to stop and did, with a checkpoint; the same program goes on from there when it is run again.

    Attributes:
        signal: number of the signal that asked for it, or None.
    """

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal


class ConfigError(ValueError):
    """A run that is declared in YAML cannot be; the message names file, line and key of all that is wrong."""
