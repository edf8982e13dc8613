"""`make bench`, part: what pages, console and analytics ask, with 1,000 rows a table and with 1,000,000.

Prints milliseconds on this machine, now (medians of several runs), and the largest tables that were read as a whole;
asserts nothing. `python -m tests.bench.readmodel 100000` takes another number of rows.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TIMES = 5
SMALL, LARGE = 1_000, 1_000_000


def main(large: int = LARGE) -> int:
    set_up_django()
    small_times, _ = measure(SMALL)
    large_times, loading = measure(large)
    print(f"\nQuestions to the read model, milliseconds (loading {large:,} rows took {loading:.0f} s)\n")
    print(f"  {'question':<40}{SMALL:>12,}{large:>12,}")
    for name, small in small_times.items():
        print(f"  {name:<40}{small:>12.1f}{large_times[name]:>12.1f}")
    return 0


def set_up_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()


def measure(rows: int) -> tuple[dict[str, float], float]:
    """Return the median milliseconds of each question with so many rows a table, and the seconds of filling them."""
    from tests.bench.many_rows import make_many
    from tests.bench.questions import questions
    from tests.cast import make_user, sign_in

    with empty_database():
        start = time.monotonic()
        make_many(rows)
        loading = time.monotonic() - start
        from accounts.models import Organization

        operator = sign_in(make_user("Olga", is_staff=True, is_superuser=True))
        asked = questions(operator, Organization.objects.order_by("pk")[7])
        return {name: median_ms(ask) for name, ask in asked.items()}, loading


@contextmanager
def empty_database() -> Iterator[None]:
    """A database of its own with every table and nothing in it."""
    from django.apps import apps
    from django.conf import settings
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases, teardown_test_environment

    settings.MIGRATION_MODULES = {app.label: None for app in apps.get_app_configs()}
    setup_test_environment(debug=False)
    before = setup_databases(verbosity=0, interactive=False, keepdb=False)
    try:
        yield
    finally:
        teardown_databases(before, verbosity=0)
        teardown_test_environment()


def median_ms(ask: Callable[[], object]) -> float:
    ask()  # what is looked up once is not what is measured
    return statistics.median(timed(ask) for _ in range(TIMES)) * 1000


def timed(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE))
