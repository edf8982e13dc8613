"""Asking Stripe how an object stands now. Nothing here touches the database."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from stripe import InvalidRequestError, StripeObject

from billing.mirror.kinds import KINDS, Kind, Ref
from billing.stripe_client import stripe_client

Data = dict[str, Any]

PAGE = 100  # Stripe's largest page


def fetch(ref: Ref) -> Data | None:
    """Return the object as Stripe has it now, its nested lists complete; None when Stripe has it no more.

    Raises stripe.StripeError when Stripe does not answer or refuses.
    """
    kind = KINDS[ref.kind]
    try:
        data = get(f"{kind.path}/{quote(ref.id, safe='')}", expand=list(kind.expand))
    except InvalidRequestError as error:
        if error.http_status == 404:
            return None
        raise
    return None if data.get("deleted") else complete(data)


def fetch_all(kind: Kind, *, path: str | None = None) -> Iterator[list[Data]]:
    """Yield a collection page by page, newest first, as Stripe lists it; nested lists may be cut short."""
    params = {**(kind.listing or {}), "expand": [f"data.{name}" for name in kind.expand]}
    return pages(path or kind.path, params)


def complete(data: Data) -> Data:
    """Fill the lists that Stripe cut short, an invoice's lines beyond the tenth for one."""
    for name, value in data.items():
        if isinstance(value, dict) and value.get("object") == "list" and value.get("has_more"):
            data[name] = {**value, "data": list(rest_of(value)), "has_more": False}
    return data


def is_cut_short(data: Data) -> bool:
    return any(isinstance(value, dict) and value.get("has_more") for value in data.values())


def rest_of(value: Data) -> Iterator[Data]:
    """The items of a nested list, those that are there and those that are not."""
    yield from value["data"]
    expand = ["data.discounts"] if value["url"].endswith("/lines") else []
    for page in pages(value["url"], {"expand": expand}, after=value["data"][-1]["id"]):
        yield from page


def pages(path: str, params: Data, *, after: str | None = None) -> Iterator[list[Data]]:
    """Follow Stripe's cursor to the end (Stripe docs: "Pagination")."""
    while True:
        cursor = {"starting_after": after} if after else {}
        page = get(path, limit=PAGE, **params, **cursor)
        yield page["data"]
        if not page["has_more"] or not page["data"]:
            return
        after = page["data"][-1]["id"]


def get(path: str, **params: Any) -> Data:
    given = {name: value for name, value in params.items() if value != []}
    data: Data = stripe_client().raw_request("get", path, **given).data
    return data


def as_stripe_object(data: Data) -> StripeObject:
    """Give plain data the form that dj-stripe's sync needs."""
    return stripe_client().deserialize(data, api_mode="V1")
