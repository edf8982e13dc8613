"""In which states a provision can be, and from which it may come into which. Pure but for language."""

from enum import StrEnum

from django.utils.translation import gettext_lazy as _


class State(StrEnum):
    """How what a subscription pays for stands at AWS."""

    BUILDING = "building"  # its stack is being built, or is built again after a failure
    READY = "ready"  # it serves
    STOPPED = "stopped"  # its instance stands still, because a payment is missing; nothing is lost
    FAILED = "failed"  # it could not be built: the subscription is cancelled, what was paid goes back; the end
    ENDING = "ending"  # its subscription has ended, or has no server any more; it stands still until it is deleted
    DELETED = "deleted"  # nothing is left of it; a plan with a server that is chosen anew begins anew

    @property
    def is_there(self) -> bool:
        """Whether there is something at AWS, or is about to be."""
        return self not in (State.FAILED, State.DELETED)


WORDS = {
    State.BUILDING: _("Building"),
    State.READY: _("Ready"),
    State.STOPPED: _("Stopped"),
    State.FAILED: _("Could not be built"),
    State.ENDING: _("Kept for now"),
    State.DELETED: _("Deleted"),
}
# Whoever comes too late (a build that is complete after its subscription was cancelled) must not bring back what ends.
NEXT = {
    State.BUILDING: frozenset({State.READY, State.FAILED, State.ENDING, State.DELETED}),
    State.READY: frozenset({State.STOPPED, State.ENDING, State.DELETED}),
    State.STOPPED: frozenset({State.READY, State.ENDING, State.DELETED}),
    State.FAILED: frozenset[State](),
    State.ENDING: frozenset({State.DELETED}),
    State.DELETED: frozenset[State](),
}


def may_become(now: State, wanted: State, *, back: bool = False) -> bool:
    """Whether a provision may come from one state into another; to stay as it is, it always may.

    `back`: its subscription has a server again before its day, so that what was to end stands still and may start.
    """
    if back and now is State.ENDING and wanted is State.STOPPED:
        return True
    return wanted is now or wanted in NEXT[now]
