import ast
import socket
from pathlib import Path

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


def test_only_the_endpoint_can_open_a_connection():
    # What libraries do is watched by test_cold_start.
    package = Path(__file__).parents[1] / "rag"
    opening = {"socket", "ssl", "http", "urllib.request", "ftplib", "smtplib", "asyncio", "requests", "httpx", "httpx2"}
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(name == other or name.startswith(f"{other}.") for name in names for other in opening):
                found.add(path.relative_to(package).as_posix())
    assert found == {"models/endpoint.py"}
