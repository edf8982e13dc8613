"""Fixtures that every room's tests share: who acts (cast), the Stripe they meet (sandbox), an AWS, a browser."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.cast", "tests.stripe_sandbox", "tests.aws", "tests.browser"]

# How fast a machine makes examples says nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
