"""Where somebody who has no account yet wanted to go: the page of a plan that they chose as a visitor.

It travels from page to page as `next`, and is kept with the account until its owner arrives there, so that a link to
confirm an address says nothing of it and still leads to it, in whatever browser it is opened. A link to a new password
says it itself: anybody may ask for one, and what they want is not to be kept with somebody's account. Of an address
that comes in only what names a plan is taken, and it is written anew: nobody is led anywhere else by it.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse

from accounts.models import User

NAMES_A_PLAN = ("plan", "interval", "currency")
LONGEST = 200


def wanted_page(request: HttpRequest) -> str:
    """The plan's page to which `next` leads; empty where it leads anywhere else."""
    return plan_page(request.POST.get("next") or request.GET.get("next") or "")


def plan_page(address: str) -> str:
    """The same page in our own words; empty for an address that is not a plan's page on this site."""
    try:
        parts = urlsplit(address)
        leads_to = resolve(parts.path).view_name
    except (Resolver404, ValueError):
        return ""
    if parts.scheme or parts.netloc or leads_to != "billing:begin":
        return ""
    page = with_query(reverse("billing:begin"), plan_named_in(dict(parse_qsl(parts.query))))
    return page if len(page) <= LONGEST else ""


def plan_named_in(asked: Mapping[str, str]) -> dict[str, str]:
    """What of an address's query names a plan."""
    return {name: asked[name] for name in NAMES_A_PLAN if name in asked}


def with_query(path: str, values: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(values)}" if values else path


def with_next(path: str, page: str) -> str:
    """The path, with where to go on to from there if there is such a page."""
    return with_query(path, {"next": page}) if page else path


def keep_wanted_page(user: User, page: str) -> None:
    User.objects.filter(pk=user.pk).update(wanted_page=page)


def arrive(user: User) -> None:
    """The page that was wanted has been reached: it is not led to any more."""
    if user.wanted_page:
        keep_wanted_page(user, "")
