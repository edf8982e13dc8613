"""Rules and events as the other files of this room's tests want them."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from billing.models import InboxEvent
from ops.models import Rule, RuleState, Target
from ops.rules.resources import FINDING_ARN, read_arn
from tests.ops.rows import make_event

LONG_AGO = timedelta(days=30)
PAID = {"detail-type": ["invoice.paid"]}


def make_rule(
    name: str = "paid", pattern: Any = PAID, *, targets: int | list[dict[str, Any]] = 1, **fields: Any
) -> Rule:
    """A rule that has been on for long, with targets that open findings unless others are given."""
    now = timezone.now()
    values = {"state": RuleState.ON, "on_since": now - LONG_AGO, "changed_at": now, "version": 1} | fields
    rule = Rule.objects.create(name=name, pattern=json.dumps(pattern), **values)
    listed = [finding_target(f"target-{number}") for number in range(targets)] if isinstance(targets, int) else targets
    for position, given in enumerate(listed):
        Target.objects.create(rule=rule, position=position, **given)
    return rule


def finding_target(name: str = "tell", **fields: Any) -> dict[str, Any]:
    template = '{"title": "Invoice <id> was paid.", "subject": <id>}'
    made = {"input_paths_map": {"id": "$.detail.data.object.id"}, "input_template": template}
    return target(name, FINDING_ARN, **(made | fields))


def target(name: str, arn: str, **fields: Any) -> dict[str, Any]:
    resource = read_arn(arn)
    assert resource, arn
    return {"name": name, "arn": arn, "kind": resource.kind, **fields}


def paid_invoice(now: datetime | None = None, **fields: Any) -> InboxEvent:
    """An event that the mirror has settled and no rule was asked about."""
    return make_event(now or timezone.now(), **({"type": "invoice.paid", "object_kind": "invoice"} | fields))
