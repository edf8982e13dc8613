"""The delivery log: each request a row, written before it goes out, completed after, pruned when it is old."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from ops.effects.destinations.masks import Masks
from ops.effects.destinations.models import Came, Destination, DestinationRequest, Origin
from ops.effects.destinations.reading import storable
from ops.effects.destinations.shape import Wish
from ops.effects.destinations.wire import Answer, Failure, Request
from ops.effects.outcome import Done, Outcome, Refused, Retry

KEPT_CHARACTERS = 65_536  # of a body
PRUNED_AT_ONCE = 5_000


def begin(
    destination: Destination,
    wish: Wish,
    request: Request,
    masks: Masks,
    *,
    now: datetime,
    origin: Origin = Origin.RULE,
    replay_of: DestinationRequest | None = None,
) -> DestinationRequest:
    """Write down that a request goes out. Until `complete` nobody knows what came of it."""
    sent = request.body.decode(errors="replace")
    body = clean(masks.mask(wish.body))
    return DestinationRequest.objects.create(
        destination=destination,
        destination_name=destination.name,
        key=wish.key[:255],
        origin=origin,
        replay_of=replay_of,
        body=body[:KEPT_CHARACTERS],
        body_length=len(wish.body.encode()),
        body_cut=len(body) > KEPT_CHARACTERS or body != wish.body,
        parameters=storable(dict(wish.parameters)),
        method=request.method,
        url=masks.mask(request.url),
        headers=masks.mask_pairs(request.headers),
        sent_body="" if sent == wish.body else clean(masks.mask(sent))[:KEPT_CHARACTERS],
        at=now,
    )


def complete(
    row: DestinationRequest,
    came: Answer | Failure | None,
    outcome: Outcome,
    masks: Masks,
    *,
    hops: Sequence[dict[str, object]] = (),
) -> None:
    """Write down what came of it; None: it did not go out."""
    row.came, row.error = came_of(outcome)
    row.error = masks.mask(row.error)
    row.hops = list(hops)
    if came is not None:
        row.address, row.milliseconds = came.address, int(came.seconds * 1000)
    if isinstance(came, Answer):
        row.status = came.status
        row.answer_headers = [[name, clean(value)] for name, value in masks.mask_pairs(came.headers)]
        row.answer, row.answer_cut = clean(masks.mask(text_of(came))), came.cut
    row.save()


def came_of(outcome: Outcome) -> tuple[Came, str]:
    match outcome:
        case Done():
            return Came.DONE, ""
        case Retry(error=error):
            return Came.RETRY, error
        case Refused(error=error):
            return Came.REFUSED, error


def text_of(answer: Answer) -> str:
    return answer.body.decode(errors="replace")


def clean(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}")


def prune(*, now: datetime) -> int:
    """Delete what is older than DESTINATIONS_LOG_DAYS (0: nothing), in batches; return how many rows went."""
    if not settings.DESTINATIONS_LOG_DAYS:
        return 0
    until, gone = now - timedelta(days=settings.DESTINATIONS_LOG_DAYS), 0
    while True:
        old = list(DestinationRequest.objects.filter(at__lt=until).values_list("pk", flat=True)[:PRUNED_AT_ONCE])
        if not old:
            return gone
        DestinationRequest.objects.filter(pk__in=old).delete()
        gone += len(old)
