"""Dead letters: calls that were given up, and their second life."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, Value

from accounts.models import User
from ops.audit import REDRIVE_CALLS, record_act
from ops.rules.models import Delivery, DeliveryState
from ops.rules.nudge import DELIVER

BATCH = 500
SECOND = timedelta(seconds=1)


def dead_letters(*, rule: str = "", target: str = "", since: datetime | None = None) -> QuerySet[Delivery]:
    """Calls that were given up, the latest first."""
    dead = Delivery.objects.filter(state=DeliveryState.DEAD).order_by("-finished_at", "-pk")
    given = {"rule_name": rule, "target_name": target, "finished_at__gte": since}
    return dead.filter(**{name: value for name, value in given.items() if value})


def redrivable(calls: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Without those that never had an input: the event gave none, and would give none again."""
    return calls.exclude(input="")


def redrive(calls: QuerySet[Delivery], actor: User | None, *, reason: str, now: datetime) -> int:
    """Let calls that were given up be tried again, under their old keys; return how many.

    Each has its whole time and all its tries again. Recorded with who and why, once for each rule concerned.
    """
    total = 0
    pks = list(redrivable(calls).filter(state=DeliveryState.DEAD).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        total += redrive_batch(pks[start : start + BATCH], actor, reason=reason, now=now)
    return total


def redrive_batch(pks: Iterable[int], actor: User | None, *, reason: str, now: datetime) -> int:
    with transaction.atomic():
        dead = Delivery.objects.filter(pk__in=list(pks), state=DeliveryState.DEAD).select_for_update().order_by("pk")
        rows = list(dead.values_list("pk", "rule_name"))
        again = ExpressionWrapper(Value(now) + F("max_age_seconds") * Value(SECOND), output_field=DateTimeField())
        count = Delivery.objects.filter(pk__in=[pk for pk, _ in rows]).update(
            state=DeliveryState.DUE, due_at=now, claimed_until=None, attempts=0, finished_at=None, give_up_at=again
        )
        for rule in sorted({name for _, name in rows}):
            calls = [pk for pk, name in rows if name == rule]
            record_act(
                actor,
                REDRIVE_CALLS,
                subject_kind="rule",
                subject_id=rule,
                reason=reason,
                before={"state": DeliveryState.DEAD.value, "calls": calls},
                after={"state": DeliveryState.DUE.value},
                now=now,
            )
        transaction.on_commit(DELIVER.soon)
    return count
