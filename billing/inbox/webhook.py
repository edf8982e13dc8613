"""The webhook door: verify, store, nudge, answer. Nothing else happens in the request.

What is here is shared by two ways to the same door: Django's view, and `asgi_door.py`, which stands before Django.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

import orjson
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import metrics
from billing.inbox.envelope import check_belongs
from billing.inbox.intake import Arrival, Stored, arrival_of, store
from billing.inbox.models import Door
from billing.inbox.nudge import mirror_soon
from billing.inbox.refusals import Reason, Refused
from billing.inbox.signature import signers
from billing.numerals import whole_number
from billing.stripe_accounts import StripeAccount, UnknownAccount, by_name, configured
from billing.unusual_json import read_slowly

log = structlog.get_logger(__name__)

LONGEST_BODY = 1_000_000  # bytes; Stripe's largest events have some hundred kilobytes
RETRY_AFTER_SECONDS = 5
SAID = {Stored.NEW: "Stored.", Stored.BEFORE: "Stored before."}
BUSY = Refused("More arrives than can be stored; send it again.", reason=Reason.BUSY, status=503)
AWAY = Refused("The database does not answer; send it again.", reason=Reason.DATABASE, status=503)
UNSTORABLE = Refused("The event holds what cannot be stored.", reason=Reason.UNSTORABLE)


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest, account: str | None = None) -> HttpResponse:
    """Answer 200 when the event is stored, now or before; 400 (413 when too long) and no row otherwise; 503 to be
    sent it again.

    `account` is the name of the configured account that the address is for; without it every account's secrets hold.
    What is in bodies and headers is never logged: it is personal, or a forgery.
    """
    try:
        accounts = accounts_at(account)
        body = read_body(request)
        arrival = read_webhook(body, request.headers.get("Stripe-Signature", ""), accounts, now=timezone.now())
        said = store_now(arrival)
    except UnknownAccount:
        raise Http404
    except Refused as refusal:
        note(refusal)
        return answer(str(refusal), status=refusal.status)
    return answer(said)


def accounts_at(name: str | None) -> Sequence[StripeAccount]:
    """The accounts whose events are taken at an address. Raises UnknownAccount."""
    return configured() if name is None else (by_name(name),)


def read_body(request: HttpRequest) -> bytes:
    """Return the body as it came. Raises Refused when it is longer than any event."""
    check_length(request.META.get("CONTENT_LENGTH") or "0")
    body = request.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        refuse_length()
    return body


def check_length(length: str) -> None:
    number = whole_number(length)
    if number is None or number > LONGEST_BODY:
        refuse_length()


def refuse_length() -> NoReturn:
    raise Refused("The body is longer than any event.", reason=Reason.TOO_LONG, status=413)


def read_webhook(body: bytes, header: str, accounts: Sequence[StripeAccount], *, now: datetime) -> Arrival:
    """Return the event that one of these accounts signed. Raises Refused; nothing is read before it is verified."""
    tolerance = settings.STRIPE_WEBHOOK_TOLERANCE_SECONDS
    signed_by = signers(body, header, accounts, now=now.timestamp(), tolerance=tolerance)
    payload, text = read_json(body)
    return bound(payload, text, signed_by, now=now)


def read_json(body: bytes) -> tuple[Any, str | None]:
    """Return what the body says, and its text where that can be stored as it came."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused("The body is not UTF-8.", reason=Reason.ENCODING)
    try:
        return orjson.loads(text), text
    except ValueError:  # half a surrogate pair, for one: JSON, though not orjson's
        pass
    try:
        return read_slowly(text), None
    except ValueError:
        raise Refused("The body is not JSON.", reason=Reason.NOT_JSON)


def bound(payload: Any, text: str | None, signed_by: Sequence[StripeAccount], *, now: datetime) -> Arrival:
    """Bind the event to the account that signed it and that it is of. One secret may stand for several accounts
    (Stripe docs: "Event destinations" of an organization). Raises Refused when it is of none of them.
    """
    refusal: Refused | None = None
    for account in signed_by:
        arrival = arrival_of(payload, text=text, door=Door.WEBHOOK, owner=account.name, now=now)
        try:
            check_belongs(arrival.event, account)
        except Refused as error:
            refusal = refusal or error
        else:
            return arrival
    raise refusal or Refused("The signature does not match.", reason=Reason.SIGNATURE)


def store_now(arrival: Arrival) -> str:
    """Store one event in this thread and nudge; return what to say. Raises Refused to be brought it again."""
    try:
        [stored] = store([arrival])
    except (DatabaseError, InterfaceError):
        log.exception("webhook:database", event_id=arrival.event.id)
        raise AWAY
    if stored is Stored.NEW:
        mirror_soon()
    return say(stored)


def say(stored: Stored) -> str:
    if stored is Stored.UNSTORABLE:
        raise UNSTORABLE
    return SAID[stored]


def note(refusal: Refused) -> None:
    metrics.refused.labels(door=Door.WEBHOOK.value, reason=refusal.reason.value).inc()
    log.warning("webhook:refused", reason=refusal.reason.value, said=str(refusal))


def answer(sentence: str, *, status: int = 200) -> HttpResponse:
    again = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    return HttpResponse(sentence + "\n", status=status, content_type="text/plain; charset=utf-8", headers=again)
