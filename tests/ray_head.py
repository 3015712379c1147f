"""A Ray head like that of a RayJob: in processes of its own, with the job API and a token."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from servers import answers, free_port, wait_until

JOB_API_NEEDS = ("aiohttp_cors", "grpc", "opencensus", "prometheus_client", "smart_open", "virtualenv")
"""What `pip install "ray[default]"` brings; without it Ray starts no job API."""

JOB_SECS = 100
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


def has_job_api() -> bool:
    """Whether Ray can start one here."""
    return all(find_spec(name) for name in JOB_API_NEEDS)


class RayHead:
    """A head on this machine; `close` ends it.

    Args:
        log: file for what it prints.
        num_cpus: that it believes to have.
        env: added to the environment of its processes, and so of drivers and workers.
    """

    def __init__(self, log: Path, num_cpus: int, env: Mapping[str, str]) -> None:
        # Paths of sockets must be short.
        self._folder = tempfile.mkdtemp(prefix="raydnn-ray-")
        self._mark = f"RAYDNN_TEST_HEAD={secrets.token_hex(8)}"
        ports = [free_port() for _ in range(4)]
        self.port, self._dashboard_port = ports[:2]
        token = secrets.token_hex(16)
        self._client_env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
        }
        name, value = self._mark.split("=")
        # The entrypoint is found as in an image: beside Python.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._env = {**self._client_env, "RAY_JOB_STOP_WAIT_TIME_S": "60", **env, name: value, "PATH": path}
        command = ["start", "--head", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
        command += [f"--port={self.port}", "--include-dashboard=true", f"--dashboard-port={self._dashboard_port}"]
        command += [f"--dashboard-agent-listen-port={ports[2]}", f"--ray-client-server-port={ports[3]}"]
        # Out of the range of free ports.
        command += ["--min-worker-port=20000", "--max-worker-port=29999"]
        command += [f"--num-cpus={num_cpus}", "--object-store-memory=100000000", f"--temp-dir={self._folder}"]
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [*_ray(), *command], env=self._env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._log = log

    def wait(self) -> None:
        """Until the job API answers."""
        wait_until(lambda: self._process.poll() is not None or answers(self._dashboard_port), f"see {self._log}")
        wait_until(self._is_ready, f"the job API, see {self._log}")

    def refusal(self) -> str:
        """What the job API answers to somebody without the token.

        Raises:
            AssertionError: it does not refuse.
        """
        try:
            self._answer("api/jobs/", headers={})
        except HTTPError as error:
            return error.read().decode()
        raise AssertionError("it answers anybody")

    def submit(self, name: str, entrypoint: str) -> str:
        """Submit a job as the submitter of a RayJob does, and wait for its end.

        Returns:
            What the submitter has printed.
        """
        env = {**self._client_env, "RAY_ADDRESS": f"http://127.0.0.1:{self._dashboard_port}"}
        command = [*_ray(), "job", "submit", f"--submission-id={name}", "--", *entrypoint.split()]
        result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=400)
        return result.stdout + result.stderr

    def begin(self, name: str, entrypoint: str) -> None:
        """Submit a job by the API that `ray job submit` uses, without the seconds that the command takes."""
        self._answer("api/jobs/", {"submission_id": name, "entrypoint": entrypoint})

    def status(self, name: str) -> str:
        """Of a job, such as 'RUNNING'."""
        return str(self._answer(f"api/jobs/{name}")["status"])

    def log_of(self, name: str) -> str:
        """What a job has printed."""
        return str(self._answer(f"api/jobs/{name}/logs")["logs"])

    def wait_for(self, name: str, condition: Callable[[], Any], what: str) -> None:
        """Wait for what a job is to do.

        Raises:
            AssertionError: it has ended before.
            TimeoutError: it has not done it.
        """
        wait_until(lambda: condition() or self.status(name) in ENDED, f"{what}, see {self._log}", JOB_SECS)
        assert condition(), self.log_of(name)

    def _answer(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """What the head answers.

        Args:
            path: of its API.
            body: to be sent, or None.
            headers: instead of the one with the token.
        """
        if headers is None:
            headers = {"Authorization": f"Bearer {self._client_env['RAY_AUTH_TOKEN']}"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._dashboard_port}/{path}"
        request = Request(url, data, {**headers, "Content-Type": "application/json"})
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        try:
            self._answer("api/jobs/")
        except OSError:
            return False
        return True

    @property
    def client_env(self) -> dict[str, str]:
        """The variables of the environment that lead Ray's programs to this head."""
        names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
        return {"RAY_ADDRESS": f"127.0.0.1:{self.port}", **{name: self._client_env[name] for name in names}}

    def run(self, *command: str) -> None:
        """Run a Python command as a container of this node would."""
        result = subprocess.run(
            [sys.executable, *command],
            env={**self._env, **self.client_env},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def add_node(self, num_cpus: int) -> str:
        """Start another node on this machine; one is enough.

        Returns:
            Its id.
        """
        command = [*_ray(), "start", f"--address=127.0.0.1:{self.port}", f"--num-cpus={num_cpus}"]
        command += ["--disable-usage-stats", "--object-store-memory=100000000"]
        command += ["--min-worker-port=30000", "--max-worker-port=31999"]
        subprocess.run(command, env=self._env, check=True, capture_output=True, timeout=180)
        wait_until(self._other_nodes, f"another node, see {self._log}")
        (node,) = self._other_nodes()
        return node

    def _other_nodes(self) -> list[str]:
        nodes = self._answer("api/v0/nodes")["data"]["result"]["result"]
        return [node["node_id"] for node in nodes if not node["is_head_node"]]

    def close(self) -> None:
        """Kill all processes of the head, of its jobs and of their workers, at once."""
        for process in _marked(self._mark):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(20)
        wait_until(lambda: not _marked(self._mark), "the end of all processes of the head")
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def ray_head(log: Path, num_cpus: int, env: Mapping[str, str]) -> Iterator[RayHead]:
    """A head that is ready, while the block runs; see `RayHead`."""
    head = RayHead(log, num_cpus, env)
    try:
        head.wait()
        yield head
    finally:
        head.close()


def _ray() -> list[str]:
    return [sys.executable, "-m", "ray.scripts.scripts"]


def _marked(mark: str) -> list[int]:
    """The processes in whose environment a variable stands, but for those that have ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found
