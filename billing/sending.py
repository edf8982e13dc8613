"""A cursor for statements with large parameters."""

from typing import Any

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor


def sending_cursor() -> Any:
    """A cursor that sends large parameters as they are, where Django's would quote them into the statement."""
    django: Any = connection
    binding: Any = ServerBindingCursor
    django.close_if_health_check_failed()
    django.ensure_connection()
    return django._prepare_cursor(binding(django.connection))
