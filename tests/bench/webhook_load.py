"""A load of signed webhooks over loopback: so many connections, each sends its next event when the last is answered."""

import asyncio
import hashlib
import hmac
import itertools
import time
from dataclasses import dataclass, field

import uvloop

SECRET = b"whsec_bench"
PATIENCE = 30.0  # seconds


@dataclass
class Load:
    """What a load met: `waits` are seconds, one for each event that was answered with 200."""

    seconds: float
    waits: list[float] = field(default_factory=list)
    refused: int = 0
    cpu_seconds: float = 0.0  # of the web process

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_seconds / len(self.waits) * 1e6 if self.waits else float("nan")

    @property
    def p99_ms(self) -> float:
        return sorted(self.waits)[int(len(self.waits) * 0.99)] * 1000 if self.waits else float("nan")


class Template:
    """An event as bytes, in which each gets an id of its own."""

    def __init__(self, event: str, event_id: str) -> None:
        self._head, _, self._tail = event.encode().partition(event_id.encode())
        self._numbers = itertools.count(1)
        self._prefix = f"evt_{time.time_ns()}_".encode()

    def next_body(self) -> bytes:
        return self._head + self._prefix + str(next(self._numbers)).encode() + self._tail


def run_load(port: int, path: str, template: Template, *, seconds: float, connections: int) -> Load:
    return uvloop.run(load(port, path, template, seconds=seconds, connections=connections))


async def load(port: int, path: str, template: Template, *, seconds: float, connections: int) -> Load:
    met = Load(seconds)
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    await asyncio.gather(*(one_connection(port, path, template, met, end=end) for _ in range(connections)))
    met.seconds = time.perf_counter() - began
    return met


async def one_connection(port: int, path: str, template: Template, met: Load, *, end: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(request(path, template.next_body()))
            status, keep = await asyncio.wait_for(answer(reader), PATIENCE)
            if status == 200:
                met.waits.append(time.perf_counter() - began)
            else:
                met.refused += 1
            if not keep:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
    finally:
        writer.close()


def request(path: str, body: bytes) -> bytes:
    at = str(int(time.time())).encode()
    signature = hmac.new(SECRET, at + b"." + body, hashlib.sha256).hexdigest().encode()
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"Host: 127.0.0.1",
        b"Content-Type: application/json",
        b"Stripe-Signature: t=%s,v1=%s" % (at, signature),
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer; return its status and whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
        elif line.startswith(b"transfer-encoding:"):
            await reader.readuntil(b"0\r\n\r\n")
    return int(head[9:12]), b"connection: close" not in head
