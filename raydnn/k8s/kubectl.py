"""Giving manifests to Kubernetes."""

import shutil
import subprocess

TIMEOUT_SECS = 60
"""Of each request to the server."""


def apply(text: str) -> str:
    """Make a cluster have what manifests say, with the context and the rights of kubectl.

    Args:
        text: YAML documents.

    Returns:
        What kubectl tells: a line for each manifest.

    Raises:
        FileNotFoundError: there is no kubectl.
        OSError: kubectl says no, or reaches no server.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError(
            "there is no kubectl on this machine; install it, or write the manifests with raydnn k8s render and apply "
            "them where there is one: kubectl apply -f FILE"
        )
    command = [kubectl, "apply", f"--request-timeout={TIMEOUT_SECS}s", "-f", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"kubectl apply has failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()
