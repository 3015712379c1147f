"""Servers on this machine that tests start and stop: an object store, PostgreSQL, MLflow."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECS = 240

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "anyone",
    "AWS_SECRET_ACCESS_KEY": "any word",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """A port on loopback that nobody has at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = START_SECS) -> None:
    """Wait for something.

    Raises:
        TimeoutError: it did not come; the message says what.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.05)


@contextmanager
def server(command: list[str], port: int, log: Path, env: Mapping[str, str] | None = None, **settings: Any) -> Any:
    """Run a server while the block runs, which begins when the server listens.

    Args:
        command: of the server.
        port: that it is to listen on.
        log: file for what it prints.
        env: added to the environment.
        settings: of the process.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, **settings
        )
        try:
            wait_until(lambda: answers(port) or process.poll() is not None, f"{command[:3]} listens, see {log}")
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """A server that speaks S3, with an empty bucket named `bucket`.

    Args:
        folder: for its log.

    Yields:
        The variables of the environment that lead to it.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with server(command, port, folder / "s3.log"):
        endpoint = f"http://127.0.0.1:{port}"
        # That is all that making a bucket is; this server checks no signature.
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
        yield {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    found = shutil.which("postgres")
    folders = [*([Path(found).resolve().parent] if found else []), *Path("/usr/lib/postgresql").glob("*/bin")]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """A new PostgreSQL server.

    Yields:
        The URL of its database.
    """
    programs, port = postgres_programs(), free_port()
    assert programs is not None
    # It does not run as root, and its user may not see what pytest makes.
    user = "nobody" if getpass.getuser() == "root" else None
    folder = Path(tempfile.mkdtemp(prefix="raydnn-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = ["-D", str(folder / "data")]
        settings = ["-U", "mlflow", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        first = [str(programs / "initdb"), *data, *settings]
        subprocess.run(first, check=True, capture_output=True, user=user, cwd="/")
        command = [str(programs / "postgres"), *data, "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        with server(command, port, folder / "log", user=user, cwd="/"):
            # With the driver: which one is the default depends on the version of SQLAlchemy.
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


@contextmanager
def mlflow_server(database: str, store: Mapping[str, str], folder: Path) -> Iterator[str]:
    """MLflow's server, which keeps runs in a database and passes artifacts on to an object store.

    Args:
        database: its URL.
        store: variables of the environment that lead to the object store.
        folder: for its log.

    Yields:
        The address of the server.
    """
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", "s3://bucket/mlflow"]
    env = {**store, "MLFLOW_S3_ENDPOINT_URL": store["AWS_ENDPOINT_URL"], "MLFLOW_DISABLE_TELEMETRY": "true"}
    # Else it starts seven more processes, for what raydnn does not ask of it.
    env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with server(command, port, folder / "mlflow.log", env):
        yield f"http://127.0.0.1:{port}"
