"""What a node of a Ray cluster does before it is taken away, such as a pod before Kubernetes ends it.

    python -m raydnn.distributed.leaving [SECONDS]

to be run on the node itself, where SECONDS (60 if left out) are what it takes at most: less than the grace period.

On the head, where the drivers of jobs are, all jobs that run are stopped as `ray job stop` does: by SIGTERM, so that
training ends after its step with a checkpoint. How long Ray then waits before it kills a job is the head's variable
RAY_JOB_STOP_WAIT_TIME_S, which is 3 seconds unless it is set.

Any other node is drained, and stays for SECONDS: Ray gives it no new work, and training with workers saves a checkpoint
at once and goes on. When the node is lost the workers are restarted without it, which does not count as one of the
`max_failures`.
"""

import logging
import math
import subprocess
import sys
import time

import ray
from ray.job_submission import JobSubmissionClient

GRACE_SECS = 60.0
LOOK_SECS = 0.2

HEAD = "node:__internal_head__"


def stop_jobs(dashboard: str, seconds: float) -> list[str]:
    """Stop all jobs that run, and wait for their end.

    Args:
        dashboard: address of the job API, 'host:port'.
        seconds: how long to wait.

    Returns:
        The jobs that are still running then.
    """
    client = JobSubmissionClient(f"http://{dashboard}")
    end = time.monotonic() + seconds
    running = [job.submission_id for job in client.list_jobs() if job.submission_id and not job.status.is_terminal()]
    for job in running:
        client.stop_job(job)
    while running and time.monotonic() < end:
        time.sleep(LOOK_SECS)
        running = [job for job in running if not client.get_job_status(job).is_terminal()]
    return running


def drain(node_id: str, seconds: float) -> None:
    """Let Ray give a node no new work.

    Args:
        node_id: of the node, hexadecimal.
        seconds: from now until it will be gone.

    Raises:
        CalledProcessError: Ray refuses, and has said why.
    """
    # Ray's Python API has no such call.
    command = ["drain-node", f"--node-id={node_id}", "--reason=DRAIN_NODE_REASON_PREEMPTION"]
    command += ["--reason-message=the node is taken away", f"--deadline-remaining-seconds={math.ceil(seconds)}"]
    subprocess.run([sys.executable, "-m", "ray.scripts.scripts", *command], check=True)


def main(seconds: float) -> None:
    """Prepare this node for its end."""
    context = ray.init(log_to_driver=False, logging_level=logging.WARNING)
    own = ray.get_runtime_context().get_node_id()
    (resources,) = [node["Resources"] for node in ray.nodes() if node["NodeID"] == own]
    if HEAD in resources:
        # Without that there is no job API either, and no job.
        if context.dashboard_url and (left := stop_jobs(context.dashboard_url, seconds)):
            sys.exit(f"jobs that do not end: {', '.join(left)}")
        return
    drain(own, seconds)
    # Its workers go on meanwhile; where the whole cluster goes, the last checkpoint needs them.
    time.sleep(seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else GRACE_SECS)
