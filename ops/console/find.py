"""From an id to its page: links and the search box need not know what kind of thing an id names."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from djstripe.models import Customer, Invoice, Price, Product, Subscription
from unfold.dataclasses import SearchResult

from accounts.models import Organization
from billing.models import InboxEvent
from ops.models import Rule

# The beginning of an id, what it names, and the column that holds it.
KINDS: Mapping[str, tuple[type[Model], str]] = {
    "sub": (Subscription, "id"),
    "cus": (Customer, "id"),
    "in": (Invoice, "id"),
    "prod": (Product, "id"),
    "price": (Price, "id"),
    "evt": (InboxEvent, "external_id"),
    "org": (Organization, "public_id"),
}
FOUND_AT_MOST = 8


def open_by_id(request: HttpRequest, object_id: str) -> HttpResponse:
    """Go to the page of the thing that an id names; one without a page is looked for among the inbox events."""
    return redirect(address_of(object_id) or events_about(object_id))


def address_of(object_id: str) -> str | None:
    kind = KINDS.get(object_id.partition("_")[0])
    if kind is None:
        return None
    model, column = kind
    key = model._default_manager.filter(**{column: object_id}).values_list("pk", flat=True).first()
    return None if key is None else change_address(model, key)


def change_address(model: type[Model], key: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])


def events_about(object_id: str) -> str:
    return f"{reverse('admin:billing_inboxevent_changelist')}?{urlencode({'q': object_id})}"


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """Answer the console's search box: an id, an organization's or a rule's name, an e-mail address.

    unfold lowers the case of what was typed, while Stripe's ids have both: ids are compared without it.
    """
    term = term.strip()
    if len(term) < 2:
        return []
    return [*find_ids(request, term), *find_organizations(request, term), *find_rules(request, term)]


def find_ids(request: HttpRequest, term: str) -> list[SearchResult]:
    kind = KINDS.get(term.partition("_")[0])
    if kind is None or not may_view(request, kind[0]):
        return []
    model, column = kind
    rows = model._default_manager.filter(**{f"{column}__istartswith": term}).values_list("pk", column)
    return [found(model, key, name, "data_object") for key, name in rows[:FOUND_AT_MOST]]


def find_organizations(request: HttpRequest, term: str) -> list[SearchResult]:
    if not may_view(request, Organization):
        return []
    rows = Organization.objects.filter(Q(name__icontains=term) | Q(billing_email__icontains=term)).order_by("name")
    return [found(Organization, row.pk, row.name, "apartment") for row in rows[:FOUND_AT_MOST]]


def find_rules(request: HttpRequest, term: str) -> list[SearchResult]:
    if not may_view(request, Rule):
        return []
    rules = Rule.objects.filter(name__icontains=term).order_by("name")
    return [found(Rule, row.pk, row.name, "rule") for row in rules[:FOUND_AT_MOST]]


def found(model: type[Model], key: Any, title: str, icon: str) -> SearchResult:
    return SearchResult(title, str(model._meta.verbose_name), change_address(model, key), icon)


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
