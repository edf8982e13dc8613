"""From a plan on the front page to its confirmation, through whatever lies between: sign-up, sign-in, an organization.

None of these pages calls Stripe; the click on the last one does (`billing.views.plans.subscribe`).
"""

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import Organization
from accounts.onward import arrive, plan_named_in, plan_page, with_next, with_query
from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, current_membership, memberships_of, organization_page
from billing import clock
from billing.mirror import querysets
from billing.plans.choice import find_choice
from billing.views.addresses import local
from billing.views.covering import payer_of
from billing.views.standing import standing_of


@never_cache
@require_safe
def begin(request: HttpRequest) -> HttpResponse:
    """Lead on to where the chosen plan is confirmed, or to what is lacking before: an account, an organization."""
    page = page_of(request)
    if find_choice(querysets.catalog(), request.GET.dict(), language=get_language() or "en") is None:
        messages.error(request, no_longer_offered())
        return redirect("billing:landing")
    if isinstance(request.user, AnonymousUser):
        return redirect(with_next(reverse("account_signup"), page))
    membership = current_membership(request)
    if membership is None:
        return redirect(with_next(reverse("accounts:organization_new"), page))
    arrive(request.user)
    return redirect(confirmation_of(request, membership.organization))


def page_of(request: HttpRequest) -> str:
    """The page that leads on with the plan that the request names."""
    return plan_page(with_query(reverse("billing:begin"), plan_named_in(request.GET.dict())))


def no_longer_offered() -> str:
    return _("This plan is no longer on offer. Choose one of these; nothing was charged.")


def confirmation_of(request: HttpRequest, organization: Organization) -> str:
    return with_query(local("billing:confirm", organization), plan_named_in(request.GET.dict()))


@require_safe
@organization_page(Act.SEE_BILLING)
def confirm(request: OrganizationRequest) -> HttpResponse:
    """Say what would be subscribed to, for whom and at what price; its button opens Stripe's page."""
    catalog, language = querysets.catalog(), get_language() or "en"
    fixed = querysets.currency_of(request.organization)
    choice = find_choice(catalog, request.GET.dict(), language=language, fixed=fixed)
    if choice is None:
        messages.error(request, no_longer_offered())
        return redirect(local("billing:plans", request.organization))
    living = querysets.living_subscription(request.organization)
    others = memberships_of(request).exclude(pk=request.membership.pk).order_by("organization__name")
    context = {
        "choice": choice,
        "living": living,
        "standing": standing_of(living, now=clock.now(), language=language) if living else None,
        "payer": None if living else payer_of(request),
        "others": [(each.organization, confirmation_of(request, each.organization)) for each in others],
        "new_url": with_next(reverse("accounts:organization_new"), page_of(request)),
        "overview_url": local("billing:overview", request.organization),
    }
    return render(request, "billing/confirm.html", context)
