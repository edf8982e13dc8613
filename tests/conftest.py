"""Fixtures that every room's tests share: who acts (cast), the Stripe they meet (sandbox), an AWS, a browser."""

pytest_plugins = ["tests.cast", "tests.stripe_sandbox", "tests.aws", "tests.browser"]
