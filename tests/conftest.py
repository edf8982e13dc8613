"""Fixtures that every room's tests share: who acts (cast) and the Stripe they meet (sandbox over HTTP)."""

pytest_plugins = ["tests.cast", "tests.stripe_sandbox"]
