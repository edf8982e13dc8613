"""`python -m config.demo.aws`: moto's server with stacks that live in time, until it is told to stop."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from config.demo.aws.bus import lead_into
from config.demo.aws.lives import Lives
from config.demo.aws.page import with_page

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.demo.aws", description=__doc__)
    parser.add_argument("--port", type=int, default=5555, help="0: any that is free")
    parser.add_argument("--queue", default="", help="a queue into which AWS's own events are led")
    parser.add_argument("--region", default=os.environ.get("AWS_DEFAULT_REGION") or "us-east-1")
    parser.add_argument("--build-seconds", type=float, default=0.0, help="how long a stack takes to be built")
    parser.add_argument("--delete-seconds", type=float, default=0.0, help="how long it takes to be deleted")
    parser.add_argument("--warm-after", type=float, help="seconds after which what stacks are made of is imported")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # nothing is kept: there is nothing to wait for
    lives = Lives(given.build_seconds, given.delete_seconds)
    app = Application(lives)
    server = make_server(HOST, given.port, with_page(app, lives), threaded=True, request_handler=MotoRequestHandler)
    os.environ.setdefault("MOTO_PORT", str(server.server_port))
    if given.queue:
        lead_into(given.queue, given.region)
    if given.warm_after is not None:
        warming = threading.Timer(given.warm_after, app.warm)
        warming.daemon = True
        warming.start()
    sys.stdout.write(f"listening on http://{HOST}:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


class Application:
    """moto's own, whose stacks begin to live with the first call that is about them: what they need takes seconds."""

    def __init__(self, lives: Lives) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lives = lives
        self._lock = threading.Lock()
        self._warm = False

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "/cloudformation/" in environ.get("HTTP_AUTHORIZATION", ""):
            self.warm()
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def warm(self) -> None:
        with self._lock:
            if not self._warm:
                self._lives.install()
                self._warm = True


if __name__ == "__main__":
    main()
