"""A mail server for tests: real SMTP over a real socket (RFC 5321), which remembers whom it took mail for."""

import re
import socketserver
import threading
from typing import Any


class Server:
    """`refuse` maps an address to the answer that it gets at RCPT."""

    def __init__(self, refuse: dict[str, str] | None = None) -> None:
        self.refuse = dict(refuse or {})
        self.took: list[str] = []
        self.message_ids: set[str] = set()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler_of(self))
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._server.server_address[:2]
        return str(host), port

    def __enter__(self) -> "Server":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def handler_of(server: Server) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def say(self, answer: str) -> None:
            self.wfile.write(f"{answer}\r\n".encode())

        def handle(self) -> None:
            self.say("220 tests")
            to = ""
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "QUIT":
                    self.say("221 bye")
                    return
                if verb == "RCPT":
                    to = re.findall(r"<(.*?)>", line)[0]
                    self.say(server.refuse.get(to, "250 ok"))
                elif verb == "DATA":
                    self.say("354 go on")
                    self.take(to)
                else:
                    self.say("250 ok")

        def take(self, to: str) -> None:
            lines: list[Any] = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.decode())
            server.took.append(to)
            server.message_ids |= {line.strip() for line in lines if line.lower().startswith("message-id:")}
            self.say("250 taken")

    return Handler
