"""Events are settled, or objects changed without one: whoever comes after the mirror hears of it. A lower room calls
nobody; a higher one asks to hear.

It is a nudge and no more: a process that is killed between the commit and the telling tells nobody. Listeners look at
the rows, and sweep.
"""

from collections.abc import Callable

from django.db import transaction

_listeners: list[Callable[[], object]] = []


def on_settled(listener: Callable[[], object]) -> None:
    """Have `listener` called after each commit that settles events, or changes objects without one. It must be quick
    and never raise.
    """
    if listener not in _listeners:
        _listeners.append(listener)


def tell_after_commit() -> None:
    for listener in _listeners:
        transaction.on_commit(listener)
