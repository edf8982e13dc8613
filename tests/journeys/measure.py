"""`make bench`: how long a person waits. Prints seconds, on this machine, now; asserts nothing.

- from starting the demo on nothing to its first page, and again on the second start
- from pressing "Subscribe" on the payment page to the page that says that the plan is active
"""

import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from tests.browser import FLAGS, MISSING, find_chromium
from tests.journeys.conftest import Portal
from tests.journeys.people import GOOD_CARD, Person
from tests.whole_demo import WholeDemo

TIMES = 7


def main() -> int:
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="kessai-bench-") as name:
        demo = WholeDemo(Path(name) / "local")
        portal = Portal(demo.url, demo.sandbox, "")
        print_line("demo: nothing to first page", measure_start(demo, lambda: None))
        print_line("demo: second start to first page", measure_start(demo, visit(chromium, portal)))
    return 0


def measure_start(demo: WholeDemo, meanwhile: Callable[[], None]) -> float:
    """Start the demo, time its first page, do something while it runs, stop it."""
    begun = time.monotonic()
    demo.begin()
    try:
        seconds = wait_for_page(demo.url, begun)
        demo.wait_until_ready()
        meanwhile()
    finally:
        demo.end(signal.SIGINT)
    return seconds


def wait_for_page(url: str, begun: float) -> float:
    while True:
        try:
            if httpx.get(url, follow_redirects=True, timeout=5, trust_env=False).status_code == 200:
                return time.monotonic() - begun
        except httpx.HTTPError:
            time.sleep(0.05)


def visit(chromium: str, portal: Portal) -> Callable[[], None]:
    def pay_several_times() -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            waits = [measure_payment(browser, portal, number) for number in range(TIMES)]
            browser.close()
        print_line(f"pay to active page, median of {TIMES}", statistics.median(waits))
        print_line(f"pay to active page, slowest of {TIMES}", max(waits))

    return pay_several_times


def measure_payment(browser: Browser, portal: Portal, number: int) -> float:
    context = browser.new_context(locale="en-US")
    person = Person(context.new_page(), portal, "Alice")
    person.sign_up(f"Bench {number}")
    person.choose_plan("Team")
    person.fill_card(GOOD_CARD)
    begun = time.monotonic()
    person.press_pay()
    person.now.filter(has_text=re.compile("is active")).wait_for()
    seconds = time.monotonic() - begun
    context.close()
    return seconds


def print_line(what: str, seconds: float) -> None:
    print(f"{what:<40} {seconds:6.2f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
