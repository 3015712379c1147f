"""MLflow's server: its address, and whether it can be reached at all; nothing of MLflow is loaded."""

import socket
from urllib.parse import urlsplit

__all__ = ["check_reached", "server_address"]

CONNECT_SECS = 5.0


def server_address(uri: str) -> tuple[str, int] | None:
    """Host and port of the server of a tracking URI; None where the store is a database or a folder."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def check_reached(uri: str) -> None:
    """Ask whether a server listens: MLflow's client would try for minutes.

    Raises:
        OSError: nobody does.
    """
    address = server_address(uri)
    if address is not None:
        try:
            socket.create_connection(address, CONNECT_SECS).close()
        except OSError as error:
            raise OSError(f"nobody answers at {address[0]}:{address[1]}: {error}") from error
