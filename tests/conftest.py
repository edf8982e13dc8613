"""Fixtures that every room's tests share: who acts (cast), the Stripe they meet (sandbox), an AWS, a browser."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.cast", "tests.stripe_sandbox", "tests.aws", "tests.step_functions", "tests.browser"]

# How fast a machine makes examples says nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# What takes long to start is started by one worker: the tests that need it are kept together.
TOGETHER = {"states_url": "states", "aws_url": "aws", "chromium": ""}  # "": those of one file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        needs = next((name for name in TOGETHER if name in getattr(item, "fixturenames", ())), None)
        if needs and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(TOGETHER[needs] or item.nodeid.partition("::")[0]))
