"""Rows as the inbox and the mirror would have written them, from small dicts of Stripe's shapes."""

import json
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.utils import timezone
from djstripe.models import Customer, Invoice, Price, Product, Subscription

from accounts.models import CustomerLink, Organization
from billing.mirror import readmodel
from billing.models import (
    AsideMessage,
    Door,
    DriftCheck,
    DriftDifference,
    InboxEvent,
    InboxState,
    PollCursor,
    RawObject,
    ResyncNote,
    ResyncPart,
    ResyncRun,
)
from ops.effects.destinations.models import (
    Authorization,
    Came,
    Connection,
    Destination,
    DestinationHealth,
    DestinationRequest,
)
from ops.effects.sealing import seal
from ops.models import CallState, Delivery, DeliveryState, Mail, MailState, Match, Rule, TaskCall
from ops.remediation.findings import look
from ops.remediation.models import Approval
from ops.rules.edit import save_rule
from ops.workflows.machines import save_version
from ops.workflows.models import Execution
from ops.workflows.start import start

NUMBERS = count(1)


def make_event(now: datetime, **fields: Any) -> InboxEvent:
    """An inbox event of a subscription, mirrored two seconds after it happened unless said otherwise."""
    number = next(NUMBERS)
    values: dict[str, Any] = {
        "external_id": f"evt_1Test{number:08d}",
        "door": Door.WEBHOOK,
        "type": "customer.subscription.updated",
        "api_version": "2026-08-26.dahlia",
        "object_kind": "subscription",
        "object_id": f"sub_1Test{number:08d}",
        "occurred_at": now - timedelta(seconds=2),
        "received_at": now - timedelta(seconds=1),
        "state": InboxState.MIRRORED,
        "attempts": 1,
        "payload": {},
    } | fields
    if values["state"] == InboxState.MIRRORED:
        values.setdefault("mirrored_at", values["occurred_at"] + timedelta(seconds=2))
    if values["state"] == InboxState.RECEIVED:
        values.setdefault("due_at", values["received_at"])
    values["payload"] = values["payload"] or stripe_payload(values)
    return InboxEvent.objects.create(**values)


def make_execution(now: datetime) -> Execution:
    """An execution that waits, of a state machine of its own."""
    states = {"Sleep": {"Type": "Wait", "Seconds": 60, "End": True}}
    text = json.dumps({"StartAt": "Sleep", "States": states})
    version = save_version(f"sleeper-{next(NUMBERS)}", text, reason="a test", now=now)
    return start(version.machine, "one", {}, now=now)


def make_approval(now: datetime) -> Approval:
    """A question about ¥9,000 that waits for somebody."""
    ask = "arn:aws:states:local:000000000000:activity:ask-approval"
    number = next(NUMBERS)
    states = {"Ask": {"Type": "Task", "Resource": ask, "End": True}}
    text = json.dumps({"StartAt": "Ask", "States": states})
    version = save_version(f"asker-{number}", text, reason="a test", now=now)
    execution = start(version.machine, "one", {}, now=now)
    call = TaskCall.objects.create(
        execution=execution, number=1, walker=0, state_name="Ask", resource=ask, state=CallState.WAITING
    )
    return Approval.objects.create(
        call=call,
        key=f"asker-{number}:one:1",
        by=version.machine.name,
        question="Refund the second payment?",
        amount=9000,
        currency="jpy",
        asked_at=now,
        until=now + timedelta(days=1),
    )


def make_mail(organization: Organization, now: datetime) -> Mail:
    """A mail that was sent."""
    return Mail.objects.create(
        key=f"dunning:in_{next(NUMBERS)}:Last notice:cus_1:",
        to="alice@example.com",
        organization=organization,
        customer_id="cus_1",
        template="dunning/last-notice",
        language="en",
        subject="Business is cancelled on 3 March unless ¥5,000 is paid",
        text="Hello Alice,\n\nthis is the last notice.\n",
        html="<p>Hello Alice</p>",
        message_id="<1@example.com>",
        state=MailState.SENT,
        attempts=1,
        written_at=now,
        sent_at=now,
    )


def stripe_payload(values: dict[str, Any]) -> dict[str, Any]:
    about = {"id": values["object_id"], "object": values["object_kind"], "customer": values.get("customer_id")}
    return {
        "id": values["external_id"],
        "object": "event",
        "type": values["type"],
        "created": int(values["occurred_at"].timestamp()),
        "livemode": False,
        "data": {"object": about},
    }


def make_customer(organization: Organization | None, *, now: datetime, **data: Any) -> Customer:
    """A mirrored customer, linked to its organization where one is given."""
    customer_id = f"cus_Test{next(NUMBERS):08d}"
    email = organization.billing_email if organization else "stranger@example.com"
    if organization:
        CustomerLink.objects.create(
            organization=organization,
            livemode=False,
            idempotency_key=f"create-customer:{customer_id}",
            customer_id=customer_id,
            linked_at=now,
        )
    return Customer.objects.create(
        id=customer_id,
        email=email,
        subscriber=organization,
        livemode=False,
        created=now,
        stripe_data={"id": customer_id, "object": "customer", "email": email} | data,
    )


def make_plan(name: str, *, now: datetime, amount: int = 5000, currency: str = "jpy") -> Price:
    """A product with one monthly price."""
    number = next(NUMBERS)
    product_data = {"id": f"prod_Test{number:06d}", "object": "product", "name": name, "active": True}
    product = Product.objects.create(
        id=product_data["id"], name=name, active=True, livemode=False, created=now, stripe_data=product_data
    )
    data = price_data(f"price_1Test{number:06d}", product.id, amount, currency)
    return Price.objects.create(
        id=data["id"],
        product=product,
        active=True,
        currency=currency,
        livemode=False,
        created=now,
        lookup_key=f"{name.lower()}_monthly_v1",
        stripe_data=data,
    )


def price_data(price_id: str, product_id: str, amount: int, currency: str) -> dict[str, Any]:
    return {
        "id": price_id,
        "object": "price",
        "active": True,
        "product": product_id,
        "unit_amount": amount,
        "currency": currency,
        "billing_scheme": "per_unit",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    }


def make_subscription(customer: Customer, price: Price, *, now: datetime, status: str = "active", **data: Any) -> Any:
    """A mirrored subscription of one item whose period began ten days ago."""
    subscription_id = f"sub_1Test{next(NUMBERS):08d}"
    start = int((now - timedelta(days=10)).timestamp())
    item = {
        "id": f"si_{subscription_id}",
        "object": "subscription_item",
        "price": price.stripe_data,
        "quantity": 1,
        "current_period_start": start,
        "current_period_end": start + 30 * 86_400,
    }
    stripe_data = {
        "id": subscription_id,
        "object": "subscription",
        "customer": customer.id,
        "status": status,
        "currency": price.currency,
        "created": start,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "items": {"object": "list", "data": [item]},
        "metadata": {},
    } | data
    row = Subscription.objects.create(
        id=subscription_id,
        customer=customer,
        livemode=False,
        created=now - timedelta(days=10),
        stripe_data=stripe_data,
    )
    readmodel.update("subscription", [stripe_data], now=now)
    return row


def make_invoice(subscription: Any, *, now: datetime, status: str = "paid", total: int = 5000, **data: Any) -> Invoice:
    invoice_id = f"in_1Test{next(NUMBERS):08d}"
    paid = status == "paid"
    stripe_data = {
        "id": invoice_id,
        "object": "invoice",
        "number": f"ACME-{next(NUMBERS):04d}",
        "customer": subscription.customer_id,
        "status": status,
        "currency": subscription.stripe_data["currency"],
        "created": int(now.timestamp()),
        "total": total,
        "amount_due": total,
        "amount_paid": total if paid else 0,
        "amount_remaining": 0 if paid else total,
        "billing_reason": "subscription_cycle",
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": subscription.id}},
        "lines": {"object": "list", "data": []},
    } | data
    row = Invoice.objects.create(
        id=invoice_id, customer=subscription.customer, livemode=False, created=now, stripe_data=stripe_data
    )
    readmodel.update("invoice", [stripe_data], now=now)
    return row


def make_machinery(now: datetime) -> None:
    """One row of everything that tells how the portal itself is: aside, cursor, drift, resync, raw, a finding."""
    AsideMessage.objects.create(
        queue="https://sqs.ap-northeast-1.amazonaws.com/123456789012/kessai-events",
        message_id="4d1f3a7e-0c53-4a1e-9d0e-5a3f0e8d1b11",
        reason="not-json",
        error="The message is not JSON: Expecting value: line 1 column 1 (char 0)",
        body="<html><body>504 Gateway Time-out</body></html>",
        length=46,
        received_at=now,
        sent_at=now - timedelta(seconds=4),
    )
    PollCursor.objects.create(started_at=now - timedelta(days=40), read_until=now - timedelta(minutes=1), polled_at=now)
    per_kind = {
        "subscription": {"looked_at": 120, "differing": 1, "healed": 1},
        "invoice": {"looked_at": 200, "differing": 2, "healed": 1},
        "price": {"looked_at": 14, "differing": 0, "healed": 0},
    }
    check = DriftCheck.objects.create(
        started_at=now, finished_at=now + timedelta(seconds=9), looked_at=334, differing=3, healed=2, per_kind=per_kind
    )
    for object_id, path, ours, theirs, healed in (
        ("in_1Test00000001", "status", "open", "paid", True),
        ("in_1Test00000001", "amount_paid", 0, 5000, True),
        ("in_1Test00000002", "metadata", {}, {"note": "写し"}, False),
        ("sub_1Test0000001", "items.data[0].quantity", 3, 12, True),
    ):
        DriftDifference.objects.create(
            check_run=check,
            kind="invoice" if object_id.startswith("in") else "subscription",
            object_id=object_id,
            path=path,
            ours=ours,
            theirs=theirs,
            healed_at=now if healed else None,
        )
    make_resync(now)
    RawObject.objects.create(
        djstripe_created=now,
        djstripe_updated=now,
        kind="credit_note",
        id="cn_1Test00000001",
        livemode=False,
        created=now,
        customer_id="cus_1",
        stripe_data={"id": "cn_1Test00000001", "object": "credit_note"},
    )
    make_requests(make_destination(), now=now)
    look(now=now)


def make_resync(now: datetime) -> None:
    """One that has stopped on its way, with what it had written by then and whom it has not asked about."""
    run = ResyncRun.objects.create(
        wanted={"kinds": ["customer", "invoice"], "since": 1_767_225_600, "accounts": ["jp"], "check": False},
        state="stopped",
        started_at=now,
        error="APIConnectionError: no answer",
    )
    for kind, counts, state, params in (
        ("customer", {"unchanged": 19_402}, "done", {}),
        ("invoice", {"unchanged": 100_000}, "waiting", {}),
        ("payment_method", {"unchanged": 2_311}, "done", {"spared": 2_104}),
    ):
        ResyncPart.objects.create(run=run, stage=0, kind=kind, counts=counts, state=state, params=params)
    written = {"customer": {f"cus_{number}": "created" for number in range(812)}, "invoice": {"in_1": "deleted"}}
    ResyncNote.objects.create(run=run, changes=written)


def make_rule(now: datetime) -> Rule:
    """A rule that is on, with one match of an event and its call, which was given up."""
    pattern = {"detail-type": ["invoice.payment_failed"], "detail": {"data": {"object": {"currency": ["jpy"]}}}}
    document = {"Name": "late-invoices", "Description": "Finance wants to know.", "State": "ENABLED"}
    rule = save_rule(document | {"EventPattern": pattern}, actor=None, reason="", now=now).rule
    payload = {"type": "invoice.payment_failed", "data": {"object": {"id": "in_1Late", "object": "invoice"}}}
    event = make_event(now, type="invoice.payment_failed", object_id="in_1Late", payload=payload, dispatched_at=now)
    match = Match.objects.create(
        rule=rule, rule_version=1, inbox_id=event.pk, event_id=event.external_id, event_type=event.type, matched_at=now
    )
    Delivery.objects.create(
        match=match,
        rule_name=rule.name,
        target_name="tell",
        kind="destination",
        arn="arn:aws:events:local:000000000000:api-destination/crm",
        input='{"invoice": "in_1Late"}',
        key="rule-1:tell:event-1",
        state=DeliveryState.DEAD,
        attempts=4,
        give_up_at=now,
        max_age_seconds=3600,
        max_retries=3,
        error="Unreachable: no answer in 5 s",
        created_at=now,
        finished_at=now,
    )
    return rule


def make_destination(name: str = "crm-notes", **fields: Any) -> Destination:
    """A destination that nobody called yet, with a connection of its own."""
    connection = Connection.objects.create(
        name=f"{name}-key",
        authorization=Authorization.API_KEY,
        identity="X-Api-Key",
        sealed_secret=seal("key_that_nobody_reads"),
        secret_set_at=timezone.now(),
    )
    values = {"endpoint": "https://crm.example/v1/customers/*/notes", "connection": connection} | fields
    return Destination.objects.create(name=name, **values)


def make_requests(destination: Destination, *, now: datetime) -> None:
    """A day of requests, most of them done, and how the destination fares after that."""
    rows = []
    for number in range(40):
        came = Came.REFUSED if number % 13 == 5 else Came.RETRY if number % 7 == 3 else Came.DONE
        status = {Came.REFUSED: 422, Came.RETRY: 503, Came.DONE: 201}[came]
        error = "" if came == Came.DONE else f"Http{status}: The destination answered {status}."
        rows.append(
            DestinationRequest(
                destination=destination,
                destination_name=destination.name,
                key=f"big-invoices:evt_1Test{number:08d}:{destination.name}",
                at=now - timedelta(minutes=35 * number),
                came=came,
                error=error,
                method="POST",
                url="https://crm.example/v1/customers/cus_1Test/notes?source=kessai",
                headers=[["Content-Type", "application/json; charset=utf-8"], ["X-Api-Key", "•••"]],
                body='{"text": "請求書が支払われました", "amount": 5000}',
                body_length=62,
                address="93.184.215.14",
                status=status,
                answer_headers=[["Content-Type", "application/json"], ["X-Request-Id", "req_" + "a" * 40]],
                answer='{"id": "note_7", "ok": true}' if came == Came.DONE else "<html>no</html>",
                milliseconds=40 + number,
            )
        )
    DestinationRequest.objects.bulk_create(rows)
    DestinationHealth.objects.create(destination=destination, last_success_at=now, last_failure_at=now)
