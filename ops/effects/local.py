"""Effects inside the portal: news for an organization, findings for operators."""

from typing import Annotated, Literal

import msgspec
from django.db import transaction

from accounts.customers import organization_of
from billing.activity import verbs
from billing.activity.publish import publish
from ops.effects.outcome import Done, Outcome, Refused
from ops.effects.registry import Call, effect
from ops.remediation.findings import Told, close_told, open_told
from ops.remediation.models import Severity

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Id = Annotated[str, msgspec.Meta(max_length=255)]


class Notice(msgspec.Struct, forbid_unknown_fields=True):
    """`text` in one language, or by language: {"en": …, "ja": …}. `customer`: the event's own if it is not given."""

    text: Text | Annotated[dict[str, Text], msgspec.Meta(min_length=1)]
    customer: Id = ""
    subject: Id = ""  # what it is about: in_…, sub_…


@effect(
    "publish-activity",
    takes=Notice,
    errors={"NoOrganization": "The event is about no customer, or about one who belongs to no organization here."},
)
def publish_activity(notice: Notice, call: Call) -> Outcome:
    """Tell the organization: the text appears among its news, on its account page at once."""
    customer = notice.customer or call.customer_id
    organization = organization_of(customer)
    if organization is None:
        return Refused(f"NoOrganization: the customer “{customer}” belongs to no organization here.")
    publish(
        organization,
        verbs.NOTICE_PUBLISHED,
        subject_id=notice.subject,
        data={"text": notice.text, "cause": call.cause},
        dedup_key=f"{verbs.NOTICE_PUBLISHED}:{call.key}"[:255],
        now=call.now,
    )
    return Done({"organization": organization.pk})


class Problem(msgspec.Struct, forbid_unknown_fields=True):
    """`subject` tells problems of one rule apart: one finding is open for each. The event's id if it is not given."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    subject: Id = ""
    severity: Literal["urgent", "attention"] = "attention"


@effect("open-finding", takes=Problem)
def open_finding(problem: Problem, call: Call) -> Outcome:
    """Open a finding for operators, or refresh the one that is open for the same rule and subject."""
    told = Told(
        cause=call.cause,
        subject=problem.subject or call.event_id,
        title=problem.title,
        note=problem.note,
        severity=Severity(problem.severity),
        event_id=call.event_id,
        key=call.key,
    )
    with transaction.atomic():
        finding = open_told(told, now=call.now, depth=call.depth)
    return Done({"finding": finding})


class Solved(msgspec.Struct, forbid_unknown_fields=True):
    """Which finding: the rule that opened it, and the subject it was opened for."""

    rule: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


@effect("close-finding", takes=Solved)
def close_finding(solved: Solved, call: Call) -> Outcome:
    """Close the finding that a rule opened for a subject; nothing happens when none is open."""
    with transaction.atomic():
        closed = close_told(cause=solved.rule, subject=solved.subject, now=call.now, depth=call.depth)
    return Done({"closed": closed})
