import socket

import pytest


def test_a_test_cannot_look_up_a_host():
    with pytest.raises(RuntimeError, match="reached for the network"):
        socket.getaddrinfo("example.invalid", 443)


def test_a_test_cannot_connect_to_another_machine():
    # 192.0.2.0/24 is set aside for documentation (RFC 5737), so that nothing is there even if the hook failed.
    with socket.socket() as client, pytest.raises(RuntimeError, match="reached for the network"):
        client.connect(("192.0.2.1", 443))


def test_a_test_may_talk_to_its_own_machine():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
