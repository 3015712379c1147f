"""Log records of a command, on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from raydnn.cli.options import LogFormat


def write_logs(log_format: LogFormat) -> None:
    """Write raydnn's log records from INFO on, and the warnings of all others, to standard error."""
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _text())
    logging.getLogger().handlers = [handler]
    logging.getLogger("raydnn").setLevel(logging.INFO)
    logging.captureWarnings(True)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Looks standard error up for each record: while a live display draws, what is written there goes above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _text() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
