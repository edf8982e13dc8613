"""Celery's beat that outlives a database which is away: it waits for it, and goes on by itself."""

import time
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django_celery_beat.schedulers import DatabaseScheduler

log = structlog.get_logger(__name__)

AWAY = (OperationalError, InterfaceError)
PAUSE_SECONDS = 2.0


class Scheduler(DatabaseScheduler):
    """django-celery-beat's scheduler reads its entries from the database, and ends the process where that fails."""

    def setup_schedule(self) -> None:
        while True:
            try:
                super().setup_schedule()
                return
            except AWAY as error:
                self._begin_again(error)
                time.sleep(PAUSE_SECONDS)

    def update_from_dict(self, mapping: dict[str, Any]) -> None:
        """Write the settings' entries. The original passes over one that a database which is away did not take: on a
        busy machine beat came up just then, and nothing was swept or polled until it was started again.
        """
        entries = {}
        for name, fields in mapping.items():
            try:
                entry = self.Entry.from_entry(name, app=self.app, **fields)
            except AWAY:
                raise
            except Exception:
                log.exception("beat:entry_refused", entry=name)
                continue
            if entry.model.enabled:
                entries[name] = entry
        self.schedule.update(entries)

    def tick(self, *args: Any, **more: Any) -> float:
        """Send what is due; return after how many seconds to look again."""
        try:
            return float(super().tick(*args, **more))
        except AWAY as error:
            self._begin_again(error)
            return PAUSE_SECONDS

    def _begin_again(self, error: Exception) -> None:
        """Read everything anew the next time: half a schedule may have been read."""
        log.warning("beat:database_away", error=type(error).__name__)
        connection.close()
        self._initial_read, self._heap = True, None
