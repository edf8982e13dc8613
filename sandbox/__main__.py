"""`python -m sandbox --port 12111 --data DIR`: run the sandbox. `--port 0` takes a free port.

`python -m sandbox fill --data DIR` makes a company with a history there first; `python -m sandbox supported` tells what
is answered.

The first line on standard output is `listening on http://HOST:PORT`.
"""

import argparse
import contextlib
import logging
import socket
import sqlite3
import sys
from pathlib import Path

import uvicorn

from sandbox import settings, supported, webhooks
from sandbox.app import create_app
from sandbox.clock import Clock
from sandbox.context import Scope
from sandbox.discovery import discover
from sandbox.engine import Engine
from sandbox.errors import ApiError
from sandbox.fill import command as fill
from sandbox.keys import DEFAULT_ACCOUNT
from sandbox.resources import event_destinations
from sandbox.store import Store


def main(argv: list[str] | None = None) -> int:
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["fill"]:
        return fill.main(given[1:])
    if given[:1] == ["supported"]:
        return supported.main(given[1:])
    options = _parser().parse_args(given)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        listener = _listen(options.host, options.port)
        store = Store(options.data)
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(_sentence(error, options) + "\n")
        return 1
    host, port = listener.getsockname()[:2]
    with store.read() as tx:
        clock = Clock(offset=settings.read(tx, settings.CLOCK_OFFSET, default=0))
    engine = Engine(store, clock, f"http://{host}:{port}", options.webhook_retries, options.webhook_timeout)
    if options.eventbridge and not _send_to_bus(engine, options.eventbridge):
        return 1
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(engine),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
            date_header=False,  # the application dates its answers in the sandbox's time
        )
    )
    sys.stdout.write(f"listening on {engine.base_url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    store.close()
    return 0


def _send_to_bus(engine: Engine, url: str) -> bool:
    discover()
    default = Scope(DEFAULT_ACCOUNT, livemode=False)
    try:
        event_destinations.send_to(engine, default, url, {}, ["*"])
    except ApiError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A stateful Stripe for one machine.")
    parser.add_argument("--port", type=int, default=12111, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the state")
    parser.add_argument(
        "--webhook-retries",
        type=_delays,
        default=webhooks.TEST_RETRY_DELAYS,
        metavar="10,600,7200",
        help="seconds before each further attempt to deliver a webhook",
    )
    parser.add_argument("--webhook-timeout", type=float, default=20.0, help="seconds a receiver may take")
    parser.add_argument(
        "--eventbridge",
        metavar="URL",
        help="put events on a bus of this AWS (moto) too, and in the queue stripe-events",
    )
    return parser


def _delays(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    return listener


def _sentence(error: Exception, options: argparse.Namespace) -> str:
    if isinstance(error, sqlite3.Error):
        return f"The data in {options.data} cannot be opened ({error}). Give another folder with --data."
    if isinstance(error, OSError) and error.filename:
        return f"The folder {options.data} cannot be used ({error.strerror}). Give another one with --data."
    return (
        f"The sandbox cannot listen on {options.host}:{options.port} ({getattr(error, 'strerror', error)}). "
        "Stop what uses it or give another --port."
    )


if __name__ == "__main__":
    sys.exit(main())
