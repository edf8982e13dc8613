"""Lists of tables that may hold millions: counted only as far as anybody would leaf, searched only by indexes."""

import re
from functools import cached_property
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import Organization

COUNTED = 1_000
# evt_1PX…, sub_1PX…, cus_Pab…, but not the type "payment_intent.succeeded" nor an organization's name.
STRIPE_ID = re.compile(r"^[a-z]+_(?=.*[0-9A-Z])[A-Za-z0-9_]+$")
MOST_ORGANIZATIONS = 500


class AtLeast(int):
    """A number that was not counted further, and says so where it is written."""

    and_more = True

    def __str__(self) -> str:
        return _("more than %(n)s") % {"n": intcomma(int(self))}


class ManyPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a list whose end nobody needs to know."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        """How many there are: exact up to 1,000, "more than 1,000" beyond."""
        found = self.object_list.order_by().values("pk")[: COUNTED + 1].count()
        return found if found <= COUNTED else AtLeast(COUNTED)


def whose(term: str, *, customer: str, organization: str) -> Q:
    """Return the condition that rows belong to what an operator typed: a customer's id or an organization's name.

    `customer` and `organization` name the columns. Organizations are the small table: they are searched, rows not.
    """
    if STRIPE_ID.match(term):
        return Q(**{customer: term})
    named = Organization.objects.filter(Q(name__icontains=term) | Q(billing_email__icontains=term))
    return Q(**{f"{organization}__in": list(named.values_list("pk", flat=True)[:MOST_ORGANIZATIONS])})
