"""The door by which Django finds the console's pages."""

from ops.console import inbox, mirror, people, records, schedules, subscriptions

__all__ = ["inbox", "mirror", "people", "records", "schedules", "subscriptions"]
