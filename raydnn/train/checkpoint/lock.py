"""One driver at a time trains a model_dir: a file says who does, and shows that it is alive."""

import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from raydnn import errors, storage
from raydnn.train.stopping import is_stop_requested

LOCK_FILE = "train.lock"
RENEW_SECS = 10.0
# A holder on another host that is silent for so long is taken for dead; clocks should agree better than that.
STALE_SECS = 60.0
# How long to wait for others that write the same file, where it cannot be created exclusively.
SETTLE_SECS = 0.2
# How often a holder on another host is looked at, to see whether it lives.
LOOK_SECS = 1.0

logger = logging.getLogger(__name__)

# The tokens of the locks that this process holds: its own id in a file does not tell.
_held: set[str] = set()


@contextmanager
def training_lock(model_dir: str) -> Iterator[None]:
    """Keep other drivers, and other calls in this process, from training the same model.

    A lock whose holder is gone is taken over with a warning: a process of this host that does not run any more, or one
    of another host without a sign of life for a minute. A holder on another host that is not silent for so long yet is
    watched: if it lives, it shows that within seconds, and this call is refused. Its end is never waited for.

    Args:
        model_dir: local or any fsspec URL.

    Raises:
        FailedPreconditionError: somebody else holds the lock.
    """
    url = storage.join(model_dir, LOCK_FILE)
    now = time.time()
    pid = os.getpid()
    own = Holder(secrets.token_hex(8), socket.gethostname(), pid, _process_start(pid), now, now)
    _held.add(own.token)
    try:
        _take(url, own)
        # Only the holder writes this file, and the thread that renews it is not there yet.
        storage.remove_leftovers(model_dir, re.escape(LOCK_FILE))
        ended = threading.Event()
        renewal = threading.Thread(target=_renew, args=(url, own, ended), name="raydnn-lock", daemon=True)
        renewal.start()
        try:
            yield
        finally:
            ended.set()
            renewal.join()
            _let_go(url, own)
    finally:
        _held.discard(own.token)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: the content of the file.

    Attributes:
        token: tells this holding from any other.
        host, pid: of the process.
        process_start: when the system started it, in the system's own count; None where that cannot be told.
        started: since when it holds the lock, in unix seconds.
        heartbeat: its last sign of life, in unix seconds.
    """

    token: str
    host: str
    pid: int
    process_start: str | None
    started: float
    heartbeat: float

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Holder":
        """Read the file's content.

        Raises:
            ValueError: it makes no sense.
        """
        try:
            values = json.loads(content)
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the content of a lock: {content!r}") from error

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.started, UTC)
        return f"process {self.pid} on host {self.host} since {since:%Y-%m-%d %H:%M:%S} UTC"

    def why_gone(self) -> str | None:
        """Why the holder is taken for gone; None if it may be there."""
        if self.host != socket.gethostname():
            silence = time.time() - self.heartbeat
            return f"its last sign of life is {silence:.0f} seconds old" if silence > STALE_SECS else None
        if self.pid == os.getpid():
            return None if self.token in _held else "it holds it no longer"
        return None if _is_running(self.pid, self.process_start) else "the process does not run any more"


def _take(url: str, own: Holder) -> None:
    if _create(url, own):
        return
    holder = _read(url)
    if holder is not None:
        reason = holder.why_gone() or _why_silent(url, holder)
        if reason is None:
            raise _refusal(url, holder)
        logger.warning("Taking over %s from %s: %s", url, holder, reason)
    storage.write_bytes(url, own.to_json())
    # Others may have come to the same decision: the last one to write has the lock.
    time.sleep(SETTLE_SECS)
    winner = _read(url)
    if winner is None or winner.token != own.token:
        raise _refusal(url, winner)


def _why_silent(url: str, holder: Holder) -> str | None:
    """Watch a holder on another host; why it is taken for gone, or None if it lives."""
    if holder.host == socket.gethostname():
        return None
    logger.warning(
        "%s is held by %s: it may just have been lost. Looking for %d seconds at most whether it lives",
        url, holder, STALE_SECS,
    )  # fmt: skip
    # By this host's clock too: the other one's may be wrong.
    end = time.monotonic() + STALE_SECS
    while time.monotonic() < end and holder.why_gone() is None:
        if is_stop_requested():
            return None
        time.sleep(LOOK_SECS)
        if (found := _read(url)) != holder:
            return None if found is not None else "it has let it go"
    return holder.why_gone() or f"it has given no sign of life for {STALE_SECS:.0f} seconds"


def _create(url: str, own: Holder) -> bool:
    """Make the file unless it is there; on an object store it cannot be made so, and False is the answer."""
    if not storage.is_local(url):
        return False
    path = Path(storage.filesystem(url)[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with storage.writing(str(path)), path.open("xb") as file:
            file.write(own.to_json())
    except FileExistsError:
        return False
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    return True


def _read(url: str) -> Holder | None:
    """Who holds the lock; None without a file, or with one that makes no sense."""
    for wait in (SETTLE_SECS, 0.0):
        try:
            return Holder.from_json(storage.read_bytes(url))
        except FileNotFoundError:
            return None
        except ValueError:
            # It may have been created a moment ago, and still be empty.
            time.sleep(wait)
    return None


def _refusal(url: str, holder: Holder | None) -> errors.FailedPreconditionError:
    return errors.FailedPreconditionError(
        f"{url} is held by {holder or 'another process'}, which trains this model: wait for its end, or take another "
        "model_dir. If you know that it does not train any more, remove the file"
    )


def _renew(url: str, own: Holder, ended: threading.Event) -> None:
    """Give signs of life until the end, or until the lock is lost."""
    while not ended.wait(RENEW_SECS):
        try:
            holder = _read(url)
            if holder is None or holder.token != own.token:
                logger.error("%s was lost to %s: this process trains on without it", url, holder or "its removal")
                return
            storage.write_bytes(url, replace(own, heartbeat=time.time()).to_json())
        except Exception as error:  # whatever a file system raises; the next time it may work
            logger.warning("%s could not be renewed: %s", url, error)


def _let_go(url: str, own: Holder) -> None:
    # A forked child that comes by here has a copy of what is its parent's.
    if own.pid != os.getpid():
        return
    try:
        holder = _read(url)
        if holder is not None and holder.token == own.token:
            storage.remove_file(url)
    except Exception as error:  # must not hide how training ended
        logger.warning("%s could not be removed: %s", url, error)


def _is_running(pid: int, start: str | None) -> bool:
    """Whether a process of this host runs that was started at that time."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs for another user
    found = _process_start(pid)
    return None in (found, start) or found == start


def _process_start(pid: int) -> str | None:
    """When a process was started, in clock ticks since boot; 'never' for a dead one, None where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name of the program, in parentheses, may hold anything; the state and 18 other fields come between.
    state, *others = stat.rpartition(")")[2].split()
    return "never" if state in "ZX" else others[18]
