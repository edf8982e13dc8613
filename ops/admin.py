"""The door by which Django finds the console's pages."""

from ops.console import doors, findings, inbox, mirror, people, records, schedules, subscriptions, truth

__all__ = ["doors", "findings", "inbox", "mirror", "people", "records", "schedules", "subscriptions", "truth"]
