"""The address of MLflow's server, and whether somebody listens there."""

import socket

import pytest

from raydnn.tracking.server import check_reached, server_address


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://host:5000/below", ("host", 5000)),
        ("http://host", ("host", 80)),
        ("https://host", ("host", 443)),
        ("sqlite:////folder/mlflow.db", None),
        ("", None),
    ],
)
def test_an_address_has_the_port_of_its_scheme(uri: str, address: tuple[str, int] | None) -> None:
    assert server_address(uri) == address


def test_a_port_without_a_listener_is_told() -> None:
    check_reached("sqlite:///mlflow.db")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"^nobody answers at 127.0.0.1:{port}: "):
            check_reached(f"http://127.0.0.1:{port}")
        listener.listen()
        check_reached(f"http://127.0.0.1:{port}")
