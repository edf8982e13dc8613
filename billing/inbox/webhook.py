"""The webhook door: verify, store, nudge, answer. Nothing else happens in the request."""

import json
from typing import Any, NoReturn

import stripe
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.inbox.intake import store_event
from billing.inbox.models import Door
from billing.inbox.nudge import mirror_soon
from billing.inbox.refusals import NotAnEvent, Refused

log = structlog.get_logger(__name__)

LONGEST_BODY = 1_000_000  # bytes; Stripe's largest events have some hundred kilobytes


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the event is stored, now or before; 400 (413 when too long) and no row otherwise.

    What is in bodies and headers is never logged: it is personal, or a forgery.
    """
    try:
        body = read_body(request)
        verify_signature(body, request.headers.get("Stripe-Signature", ""))
        created = store_event(read_json(body), door=Door.WEBHOOK, now=timezone.now())
    except (Refused, NotAnEvent) as refusal:
        log.warning("webhook:refused", reason=str(refusal), length=request.META.get("CONTENT_LENGTH"))
        return answer(str(refusal), status=getattr(refusal, "status", 400))
    if not created:
        return answer("Stored before.")
    mirror_soon()
    return answer("Stored.")


def read_body(request: HttpRequest) -> bytes:
    """Return the body as it came. Raises Refused when it is longer than any event."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > LONGEST_BODY:
        refuse_length()
    body = request.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        refuse_length()
    return body


def refuse_length() -> NoReturn:
    raise Refused("The body is longer than any event.", status=413)


def verify_signature(body: bytes, header: str) -> None:
    """Raises Refused unless one of our secrets signed these bytes within the tolerance.

    Several secrets hold while one is being rolled (Stripe docs: "Roll endpoint signing secrets").
    """
    try:
        payload = body.decode()
    except UnicodeDecodeError:
        raise Refused("The body is not UTF-8.")
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, settings.STRIPE_WEBHOOK_TOLERANCE_SECONDS)
            return
        except (stripe.SignatureVerificationError, ValueError, TypeError):
            continue  # ValueError, TypeError: a header in which no signature can be read, or not in ASCII
    raise Refused("The signature does not match, or is too old.")


def read_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise Refused("The body is not JSON.")


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's JSON, not JSON


def answer(sentence: str, *, status: int = 200) -> HttpResponse:
    return HttpResponse(sentence + "\n", status=status, content_type="text/plain; charset=utf-8")
