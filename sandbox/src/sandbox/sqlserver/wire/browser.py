"""SQL Server Browser: returns the TCP port of a named instance over UDP 1434 (MS-SQLR 2.2.3 CLNT_UCAST_INST, 2.2.5 SVR_RESP)."""

from __future__ import annotations

import socket
import threading

PORT = 1434
_ASKED, _ANSWER = 0x04, 0x05


def serve(host: str, instance: str, port: int) -> None:
    """Starts to answer requests for this instance; for any other there is no answer, as from the real one. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, PORT))
    threading.Thread(target=_serve, args=(sock, instance, port), daemon=True).start()


def _serve(sock: socket.socket, instance: str, port: int) -> None:
    while True:
        asked, who = sock.recvfrom(1_024)
        if asked[:1] == bytes([_ASKED]) and asked[1:].rstrip(b"\0").decode(errors="replace").lower() == instance.lower():
            sock.sendto(answer(instance, port), who)


def answer(instance: str, port: int) -> bytes:
    """The answer for one instance."""
    text = f"ServerName;SANDBOX;InstanceName;{instance};IsClustered;No;Version;16.0.4000.1;tcp;{port};;".encode()
    return bytes([_ANSWER]) + len(text).to_bytes(2, "little") + text
