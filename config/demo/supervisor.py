"""The demo from start to stop: started in parallel, watched until Ctrl-C, stopped in order."""

import os
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from config.demo import services
from config.demo.children import Child
from config.demo.environment import share, unshare
from config.demo.plan import Plan
from config.demo.services import Demo
from config.demo.trouble import Trouble
from config.local import last_words

# Group after group: nothing is stopped while something that still runs needs it.
STOP_ORDER = [["web", "beat", "data", "events"], ["worker"], ["sandbox", "aws"], ["redis"], ["postgres"]]
MOST_RESTARTS = 3


class Stop:
    """Whether someone asked to stop, and whether they asked again."""

    def __init__(self) -> None:
        self.asked, self.hurry = threading.Event(), threading.Event()
        self._had_terminal = has_terminal()

    def listen(self) -> None:
        """Take Ctrl-C, `kill` and a closed terminal as the wish to stop; what was ignored stays so (nohup)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._ask)

    def watch_terminal(self) -> None:
        """Take a terminal that has gone as the wish to stop, where nobody passed the hang-up on (`ssh -t`)."""
        if self._had_terminal and not has_terminal():
            self.asked.set()

    def _ask(self, _number: int, _frame: object) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()


def has_terminal() -> bool:
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError):
        return False
    return True


def run(demo: Demo, stop: Stop) -> None:
    """Start everything, say where it is, watch it until someone asks to stop; leave nothing running.

    Raises Trouble when something cannot start or dies again and again, Interrupted when asked to stop early.
    """
    try:
        unshare(demo.places)  # what a killed run left
        with demo.screen.steps():
            start_all(demo)
        share(demo.places, demo.env)
        tell_where_to_go(demo)
        watch(demo, stop)
    finally:
        stop_all(demo, stop)


def start_all(demo: Demo) -> None:
    with ThreadPoolExecutor(max_workers=12) as pool:
        plan = Plan(demo.screen, pool, demo.failed)
        given = demo.given
        postgres = plan.step("PostgreSQL", lambda: services.start_demo_postgres(demo), unless=given.postgres)
        redis = plan.step("Redis", lambda: services.start_demo_redis(demo), unless=given.redis)
        stripe = plan.step("A Stripe on this machine", lambda: services.start_sandbox(demo), unless=given.stripe)
        files = plan.step("Static files and translations", lambda: services.prepare(demo, "files"))
        schema = plan.step("Database schema", lambda: services.prepare(demo, "schema"), after=[postgres])
        ground = [schema, redis, stripe]
        web = plan.step("Web server", lambda: services.start_web(demo), after=[*ground, files])
        worker = plan.step("Worker", lambda: services.start_worker(demo), after=ground)
        plan.step("Beat", lambda: services.start_beat(demo), after=[worker])
        plan.step("An AWS on this machine", lambda: services.start_aws(demo), after=[web, worker], unless=given.aws)
        plan.step("A company with customers", lambda: services.load_data(demo), after=ground, unless=given.stripe)
        plan.wait()


def tell_where_to_go(demo: Demo) -> None:
    from config.demo.cast import CUSTOMER, OPERATOR, PASSWORD

    say = demo.screen.say
    say()
    say(f"  Kessai       {demo.url}", style="bold")
    if demo.has_people:
        say(f"    customer   {CUSTOMER}   {PASSWORD}")
        say(f"    operator   {OPERATOR}   {PASSWORD}   {demo.url}/admin/")
    else:
        say("    sign up there; make an operator with: .venv/bin/python manage.py createsuperuser")
    if not demo.env.get("EMAIL_URL"):
        say(f"    mail       {demo.url}/mail/")
    if not demo.given.stripe:
        say(f"  Stripe       {demo.sandbox_url}   (a sandbox: Stripe's test cards, such as 4242 4242 4242 4242)")
    else:
        say("  Stripe       the account of your key. Fetch what it holds: .venv/bin/python manage.py resync")
        if not demo.env.get("STRIPE_WEBHOOK_SECRET"):
            say("               STRIPE_WEBHOOK_SECRET is not set, so its webhooks are refused:")
            say("               see docs/stripe-test-account.md")
    if not demo.given.aws:
        say(f"  AWS          {demo.aws_url}/_stacks/   (moto; there the next build of a server can be made to fail)")
    say(f"  Logs         {demo.places.logs}")
    say()
    say("  Ctrl-C stops all that was started here; the next start takes seconds.")


def watch(demo: Demo, stop: Stop) -> None:
    """Wait until someone asks to stop; start again what dies, with its last words."""
    while not stop.asked.wait(0.5):
        stop.watch_terminal()
        for child in demo.children.dead():
            revive(demo, child)


def revive(demo: Demo, child: Child) -> None:
    status = child.process.returncode
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    if child.restarts >= MOST_RESTARTS:
        raise Trouble(f"It {how} {child.restarts + 1} times. {services.explain(demo, child.name)}")
    demo.screen.say(f"{child.name} {how}; it is started again. The end of its log:", style="yellow")
    demo.screen.say(last_words(demo.log(child.name)))
    demo.children.start(child.name, child.command)


def stop_all(demo: Demo, stop: Stop) -> None:
    unshare(demo.places)
    stop.asked.set()  # from here a further Ctrl-C means: hurry
    demo.screen.say("\nStopping …")
    killed = demo.children.stop(STOP_ORDER, hurry=stop.hurry)
    for directory in demo.scratch:
        shutil.rmtree(directory, ignore_errors=True)
    ending = f"Stopped; {', '.join(killed)} had to be killed." if killed else "Stopped. Nothing is left running."
    demo.screen.say(ending)
