"""What the demo starts, and how each is started and known to be ready."""

import http.client
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.demo.aws.names import queue_url
from config.demo.children import Children
from config.demo.environment import Given, first_environment
from config.demo.places import NEEDED_MB, Places, read_json
from config.demo.screen import Screen
from config.demo.trouble import NO_SPACE, Interrupted, Trouble
from config.local import Command, last_words, start_postgres, start_redis, wait_until

BASE_DIR = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 90.0  # on a laptop that is busy with something else
# Celery forks its pool; macOS's system libraries do not survive that reliably.
POOL = ["--pool", "threads"] if sys.platform == "darwin" else ["--pool", "prefork"]
# Sooner than Stripe's, so that nobody waits ten minutes for what a stopped portal missed.
WEBHOOK_RETRIES = "1,2,4,8,15,30,60,300"
QUEUE = "kessai-events"
# Long enough to be watched. What stacks are made of is imported when everything else has started.
STACKS = ["--build-seconds", "15", "--delete-seconds", "5", "--warm-after", "20"]

Process = subprocess.Popen[bytes]


@dataclass
class Demo:
    """One run of the demo: where it is, what is given, what its processes are told."""

    places: Places
    screen: Screen
    given: Given
    stop_asked: threading.Event
    web_port: int
    sandbox_port: int
    aws_port: int
    failed: threading.Event = field(default_factory=threading.Event)
    scratch: list[Path] = field(default_factory=list)  # directories that go when the demo stops
    env: dict[str, str] = field(init=False)
    children: Children = field(init=False)

    def __post_init__(self) -> None:
        self.children = Children(self.places.run_file, str(self.places.root))
        self.children.note(url=self.url)
        self.env = first_environment(self.places, self.given, url=self.url)
        self.places.forget_metrics()
        self.env["PROMETHEUS_MULTIPROC_DIR"] = str(self.places.metrics)
        if not self.given.stripe:
            self.env["STRIPE_API_BASE"] = self.sandbox_url
            self.env["CLOCK_URL"] = f"{self.sandbox_url}/_sandbox/health"
        if not self.given.aws:
            self.env["AWS_ENDPOINT_URL"] = self.aws_url
            self.env["EVENTS_QUEUE_URL"] = queue_url(self.aws_url, QUEUE)

    @property
    def url(self) -> str:
        # By this name and not by number: browsers allow passkeys only for names.
        return f"http://localhost:{self.web_port}"

    @property
    def has_people(self) -> bool:
        """Whether people can sign in whom the demo made."""
        return not self.given.stripe and not self.given.postgres

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    def check(self) -> None:
        """Raise Interrupted when someone asked to stop or another step failed."""
        if self.stop_asked.is_set() or self.failed.is_set():
            raise Interrupted

    def log(self, name: str) -> Path:
        return self.places.logs / f"{name}.log"


def start_demo_postgres(demo: Demo) -> None:
    server = start_postgres(
        demo.places.postgres,
        log=demo.log("postgres"),
        starter=lambda command: demo.children.start("postgres", command),
    )
    demo.env["DATABASE_URL"] = server.url
    demo.scratch += server.scratch


def start_demo_redis(demo: Demo) -> None:
    demo.env["REDIS_URL"] = start_redis(
        demo.places.redis,
        log=demo.log("redis"),
        starter=lambda command: demo.children.start("redis", command),
    ).url


def start_sandbox(demo: Demo) -> None:
    place = ["--port", str(demo.sandbox_port), "--data", str(demo.places.sandbox)]
    process = start_module(demo, "sandbox", ["sandbox", *place, "--webhook-retries", WEBHOOK_RETRIES])
    wait_for(demo, "sandbox", process, lambda: responds(demo.sandbox_port, "/_sandbox/health"))


def start_aws(demo: Demo) -> None:
    """Start an AWS, and what takes its events into the inbox. Nobody waits for them: calls are tried again."""
    start_module(demo, "aws", ["config.demo.aws", "--port", str(demo.aws_port), "--queue", QUEUE, *STACKS])
    command = module_command(demo, "events", [])
    demo.children.start("events", replace(command, argv=[sys.executable, "manage.py", "receive_sqs"]))


def start_web(demo: Demo) -> None:
    server = ["uvicorn", "config.asgi:application", "--host", "127.0.0.1", "--port", str(demo.web_port)]
    # An open page holds a connection for its live status; it must not hold up the end.
    process = start_module(demo, "web", [*server, "--timeout-graceful-shutdown", "1", "--no-access-log"])
    wait_for(demo, "web", process, lambda: responds(demo.web_port, "/readyz"))


def start_worker(demo: Demo) -> None:
    log = demo.log("worker")
    before = log.stat().st_size if log.exists() else 0
    quiet = ["--without-gossip", "--without-mingle", "-l", "INFO"]
    process = start_module(demo, "worker", ["celery", "-A", "config", "worker", *POOL, "--concurrency", "2", *quiet])
    wait_for(demo, "worker", process, lambda: b" ready." in log.read_bytes()[before:])


def start_beat(demo: Demo) -> None:
    start_module(demo, "beat", ["celery", "-A", "config", "beat", "-l", "INFO", "--pidfile="])


def load_data(demo: Demo) -> None:
    """Load the company, unless an earlier start has done so and its webhooks still lead here.

    Into a database that somebody brought along go no people whose password everybody knows, only the catalogue.
    """
    if demo.given.postgres:
        run_module(demo, "data", ["config.demo.data", "--catalogue-only"])
    elif read_json(demo.places.data_mark).get("url") != demo.url:
        run_module(demo, "data", ["config.demo.data", *([] if demo.given.aws else ["--servers"])])


def prepare(demo: Demo, part: str) -> None:
    run_module(demo, part, ["config.demo.prepare", part])


def start_module(demo: Demo, name: str, module: list[str]) -> Process:
    return demo.children.start(name, module_command(demo, name, module))


def run_module(demo: Demo, name: str, module: list[str]) -> None:
    """Run a module to its end; raise Trouble with its last words when it fails."""
    command = module_command(demo, name, module)
    if demo.children.run(name, command, go_on=demo.check):
        raise Trouble(explain(demo, name))


def module_command(demo: Demo, name: str, module: list[str]) -> Command:
    argv = [sys.executable, "-m", *module]
    return Command(argv=argv, log=demo.log(name), env=dict(demo.env), cwd=BASE_DIR)


def wait_for(demo: Demo, name: str, process: Process, ready: Callable[[], bool]) -> None:
    """Wait until a service is ready; raise Trouble with its last words when it ends or takes too long."""

    def holds() -> bool:
        demo.check()
        return ready()

    if not wait_until(holds, seconds=READY_SECONDS, alive=process):
        raise Trouble(explain(demo, name))


def responds(port: int, path: str) -> bool:
    """Say whether an HTTP server on loopback answers with anything but an error of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def explain(demo: Demo, name: str) -> str:
    """Return the sentence for a process that failed, with the end of its log unless the cause is known."""
    words = last_words(demo.log(name), lines=12)
    if "No space left on device" in words:
        return NO_SPACE.format(need=NEEDED_MB, place=demo.places.root)
    return f"The demo's part `{name}` failed. The end of {demo.log(name)}:\n\n{words}\n"
