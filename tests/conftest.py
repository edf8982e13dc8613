"""Fixtures that every room's tests share: who acts (cast), the Stripe they meet (sandbox), an AWS, a browser, the
whole demo."""

import gc
from collections.abc import Iterator

import pytest
from django.utils import translation
from hypothesis import HealthCheck, settings

from tests.emptying import empty_instead_of_flushing

pytest_plugins = [
    "tests.cast",
    "tests.stripe_sandbox",
    "tests.aws",
    "tests.step_functions",
    "tests.browser",
    "tests.whole_demo",
]

# How fast a machine makes examples says nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

empty_instead_of_flushing()


@pytest.fixture(autouse=True)
def language_of_nobody() -> None:
    """The page that a test asked for last leaves its reader's language behind in the thread."""
    translation.deactivate()


# What takes long to start is started by one worker: the tests that need it are kept together.
TOGETHER = {"states_url": "states", "aws_url": "aws", "chromium": ""}  # "": those of one file

# What takes a worker longest is begun first, so that at the end all are done at about the same time.
BEGUN_FIRST = (
    "tests/journeys/",
    "tests/crashes/test_under_load.py",
    "tests/config/test_demo.py",
    "tests/billing/mirror/test_schema.py",
    "tests/billing/mirror/test_resync_company.py",
    "tests/crashes/",
    "tests/ops/workflows/aws/",
)


def pytest_collection_finish() -> None:
    """What has been imported by now stays, and a test leaves little behind: the collector need not look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    keep_together(items)
    yield  # pytest-django sorts too, by what a test needs of the database
    items.sort(key=turn)


def keep_together(items: list[pytest.Item]) -> None:
    for item in items:
        needs = next((name for name in TOGETHER if name in getattr(item, "fixturenames", ())), None)
        if needs and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(TOGETHER[needs] or item.nodeid.partition("::")[0]))


def turn(item: pytest.Item) -> int:
    """When a test is begun: the long ones in their order, then those with a browser or an AWS, then all others."""
    long = next((turn for turn, path in enumerate(BEGUN_FIRST) if item.nodeid.startswith(path)), None)
    if long is not None:
        return long
    return len(BEGUN_FIRST) + (item.get_closest_marker("xdist_group") is None)
