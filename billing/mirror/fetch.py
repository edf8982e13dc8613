"""Asking Stripe how objects stand now, one, many at once, or page by page. Nothing here touches the database."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import stripe
from django.conf import settings

from billing.mirror.collapse import collapse
from billing.mirror.gate import FAR
from billing.mirror.kinds import Gathered, Kind, Ref, kind_for
from billing.mirror.shapes import id_of, inner, is_cut_short
from billing.stripe_accounts import StripeAccount, primary
from billing.stripe_client import refuse_calls
from billing.stripe_reading import LONG_AGO, Answer, Missing, read

Data = dict[str, Any]
Inner = tuple[tuple[Ref, Data], ...]

PAGE = 100  # Stripe's largest page
ENOUGH_FAILURES = 3  # one after the other: Stripe is in trouble, not these objects

Given = TypeVar("Given")
Got = TypeVar("Got")


class CannotBeAsked(LookupError):
    """Stripe answers no single object of this kind."""


@dataclass(frozen=True)
class Fetched:
    """One object as Stripe had it at some second from `low` to `high` (Unix seconds of Stripe's clock)."""

    ref: Ref
    data: Data | None  # None: Stripe has it no more
    low: int
    high: int
    inner: Inner = ()  # objects that were expanded in it


def as_there(data: Data) -> Data | None:
    """What was expanded in another object; None where that is but the stub of one that was deleted (API reference,
    "Expanding responses"): it says nothing, and what the mirror knows of the object stays.
    """
    return None if data.get("deleted") else data


@dataclass(frozen=True)
class Listed:
    """One page of a list, newest first, and how it goes on. Nested lists may be cut short."""

    objects: list[Data]
    low: int
    high: int
    has_more: bool


def fetch(ref: Ref, *, account: StripeAccount | None = None) -> Fetched:
    """Return the object as Stripe has it now, its nested lists complete.

    Raises CannotBeAsked, and stripe.StripeError when Stripe does not answer or refuses.
    """
    kind = kind_for(ref.kind)
    if kind.gathered:
        return gather(ref, kind.gathered, account=account)
    if not kind.fetchable:
        raise CannotBeAsked(f"Stripe cannot be asked for a single {ref.kind}.")
    try:
        answer = read(
            f"{kind.path}/{quote(ref.id, safe='')}", {"expand": (*kind.expand, *kind.spares)}, account=account
        )
    except Missing as missing:
        return Fetched(ref, None, missing.low, missing.high)
    if answer.data.get("deleted"):
        return Fetched(ref, None, answer.low, answer.high)
    return as_fetched(kind, complete(kind, answer, account=account))


def gather(ref: Ref, gathered: Gathered, *, account: StripeAccount | None) -> Fetched:
    """Return an object that is but a list, with the whole list."""
    account = account or primary()
    try:
        pages = list(list_pages(gathered.path, {gathered.param: ref.id}, account=account))
    except Missing as missing:
        return Fetched(ref, None, missing.low, missing.high)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
        return Fetched(ref, None, LONG_AGO, FAR)  # whose list it is is gone, and the list with it
    rows = [data for page in pages for data in page.objects]
    whole = {"object": "list", "data": rows, "has_more": False, "url": gathered.url.format(id=ref.id)}
    data = {"object": ref.kind, gathered.param: ref.id, "livemode": account.livemode, gathered.place: whole}
    return Fetched(ref, data, min(page.low for page in pages), max(page.high for page in pages))


def as_fetched(kind: Kind, answer: Answer) -> Fetched:
    """What an answer says of an object; expanded references are parted from it."""
    data, inner = collapse(kind, answer.data)
    ref = Ref(kind.name, data["id"])
    if data.get("test_clock"):  # its events are dated by that clock: nothing can be compared with Stripe's time
        return Fetched(ref, data, LONG_AGO, FAR, tuple(inner))
    return Fetched(ref, data, answer.low, answer.high, tuple(inner))


def complete(kind: Kind, answer: Answer, *, account: StripeAccount | None = None) -> Answer:
    """Fill the lists that Stripe cut short, an invoice's lines beyond the tenth for one."""
    data, low, high = answer.data, answer.low, answer.high
    for name in short_lists(data):
        expand = [f"data.{path.split('.data.', 1)[1]}" for path in kind.expand if path.startswith(f"{name}.data.")]
        rows = list(data[name]["data"])
        for page in list_pages(data[name]["url"], {"expand": expand}, after=rows[-1]["id"], account=account):
            rows += page.objects
            low, high = min(low, page.low), max(high, page.high)
        data = {**data, name: {**data[name], "data": rows, "has_more": False}}
    return Answer(data, low, high)


def short_lists(data: Data) -> list[str]:
    """The names of the nested lists that have more than the object shows."""
    if not is_cut_short(data):  # nearly always; and asked of each object that is listed
        return []
    return [
        name
        for name, value in data.items()
        if isinstance(value, dict) and value.get("object") == "list" and value.get("has_more") and goes_on(value)
    ]


def goes_on(value: Data) -> bool:
    """Whether a list says where its other rows are, and after which."""
    last = value["data"][-1] if isinstance(value.get("data"), list) and value["data"] else None
    return bool(id_of(inner(last))) and isinstance(value.get("url"), str)


def fetch_many(refs: Iterable[Ref], *, account: StripeAccount | None = None) -> dict[Ref, Fetched | Exception]:
    """Fetch many at once, as fast as the budget allows; each object has its own answer or its own error.

    When Stripe is away, or refuses the key, the objects that were not asked for yet get that same error.
    """
    return at_once(list(dict.fromkeys(refs)), lambda ref: fetch(ref, account=account))


def at_once(items: Sequence[Given], call: Callable[[Given], Got]) -> dict[Given, Got | Exception]:
    """Call for each item, several at a time. The calling thread's refusal of calls (`no_calls`) holds."""
    refuse_calls()
    if len(items) <= 1:
        return {item: attempt(call, item) for item in items}
    trouble = Trouble()
    with ThreadPoolExecutor(min(settings.STRIPE_CALLS_AT_ONCE, len(items))) as pool:
        futures = {item: pool.submit(copy_context().run, trouble.guarded, call, item) for item in items}
        return {item: future.result() for item, future in futures.items()}


def attempt(call: Callable[[Given], Got], item: Given) -> Got | Exception:
    try:
        return call(item)
    except Exception as error:
        return error


class Trouble:
    """Remembers how calls go, and spares the rest when Stripe is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._away: Exception | None = None

    def guarded(self, call: Callable[[Given], Got], item: Given) -> Got | Exception:
        if self._away is not None:
            return self._away
        result = attempt(call, item)
        with self._lock:
            self._note(result)
        return result

    def _note(self, result: object) -> None:
        if isinstance(result, stripe.AuthenticationError):
            self._away = result
        elif isinstance(result, stripe.StripeError) and (result.http_status or 500) >= 429:
            self._failures += 1
            if self._failures >= ENOUGH_FAILURES:
                self._away = result
        else:
            self._failures = 0


def list_pages(
    path: str, params: Mapping[str, Any], *, after: str | None = None, account: StripeAccount | None = None
) -> Iterator[Listed]:
    """Follow Stripe's cursor to the end, newest objects first (Stripe docs: "Pagination")."""
    while True:
        page = list_page(path, params, after=after, account=account)
        yield page
        if not page.has_more or not page.objects:
            return
        after = page.objects[-1]["id"]


def list_page(
    path: str, params: Mapping[str, Any], *, after: str | None = None, account: StripeAccount | None = None
) -> Listed:
    answer = read(path, {"limit": PAGE, **params, "starting_after": after}, account=account)
    return Listed(answer.data["data"], answer.low, answer.high, bool(answer.data.get("has_more")))


def get(path: str, *, account: StripeAccount | None = None, **params: Any) -> Data:
    """Read one thing that is no mirrored object."""
    return read(path, params, account=account).data
