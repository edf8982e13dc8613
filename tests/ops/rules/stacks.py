"""Documents of rules, and what they call, as the tests of stacks want them."""

from typing import Any

from ops.effects.destinations.models import Authorization, Connection, ConnectionParameter, Destination
from ops.rules.documents import Document
from ops.rules.resources import FINDING_ARN

ARN = "arn:aws:{}:us-east-1:123456789012:{}"
QUEUE, DEAD, FIFO = (ARN.format("sqs", name) for name in ("paid", "dead", "paid.fifo"))
TOPIC, MACHINE = ARN.format("sns", "paid"), ARN.format("states", "stateMachine:dunning")
BUS = ARN.format("events", "event-bus/product")
PAID = {"source": ["stripe.com"], "detail-type": ["invoice.paid"]}
TELL = {"Id": "tell", "Arn": FINDING_ARN, "Input": '{"title": "An invoice was paid."}'}


def a_rule(*targets: Document, **changes: Any) -> Document:
    return {"Name": "paid", "State": "ENABLED", "EventPattern": PAID, "Targets": list(targets), **changes}


def to(arn: str, name: str = "there", **more: Any) -> Document:
    return {"Id": name, "Arn": arn, **more}


def crm(**fields: Any) -> Destination:
    """A destination and its connection as read with their parameters, in no database."""
    connection = Connection(
        pk=1, name="crm-login", authorization=Authorization.BASIC, identity="kessai", sealed_secret="sealed"
    )
    connection._prefetched_objects_cache = {"parameters": ConnectionParameter.objects.none()}  # type: ignore[attr-defined]
    return Destination(**{"name": "crm", "connection": connection, "endpoint": "https://crm.example/*/notes"} | fields)
