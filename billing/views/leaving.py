"""Cancel, with its consequence said first, and resume; and the payment method."""

import secrets

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Organization
from accounts.permissions import Act
from accounts.viewer import OrganizationRequest, organization_page
from billing import clock
from billing.entitlements.resolve import covered_by
from billing.mirror import querysets
from billing.mirror.facts import SubscriptionFacts
from billing.stripe_client import stripe_client
from billing.stripe_patience import in_time
from billing.subscriptions import cancel as leaving
from billing.subscriptions.cancel import Done
from billing.subscriptions.portal import PortalPage, open_portal
from billing.subscriptions.refresh import refresh
from billing.thread import Situation
from billing.thread.load import load_situation
from billing.thread.present import plan_name
from billing.thread.words import day_words
from billing.views.addresses import absolute, local
from billing.views.answers import Retry, show_answer
from billing.views.standing import name_of

LONGEST_INTENT = 64


@require_http_methods(["GET", "POST"])
@organization_page(Act.MANAGE_BILLING)
@in_time
def cancel(request: OrganizationRequest) -> HttpResponse:
    """GET says until when it goes on and what ends; POST does it."""
    living = querysets.living_subscription(request.organization)
    if living is None or not leaving.can_cancel(living):
        messages.info(request, say_nothing_to_cancel(request.organization))
        return redirect(local("billing:overview", request.organization))
    if request.method == "POST":
        return do_cancel(request, living)
    situation = load_situation(
        request.organization, now=timezone.now(), language=get_language() or "en", subscription=living
    )
    covered = covered_by(request.organization)
    return render(request, "billing/cancel.html", {**describe_consequence(living, situation), "covered": covered})


def say_nothing_to_cancel(organization: Organization) -> str:
    """Say why not. It may be cancelled already: by the same click, whose answer was lost on its way."""
    last = querysets.current_subscription(organization)
    end = (last.ends_at or last.ended_at) if last else None
    if last is None or end is None:
        return _("There is nothing to cancel: no plan is set to renew.")
    words = {"plan": name_of(last), "day": day_words(end, now=clock.now(), language=get_language() or "en")}
    if last.living:
        return _("%(plan)s is cancelled. It goes on until %(day)s.") % words
    return _("%(plan)s is cancelled: it ended on %(day)s.") % words


def describe_consequence(living: SubscriptionFacts, situation: Situation) -> dict[str, object]:
    """Tell what cancelling means, each part from the subscription's own facts."""
    plan = next((p for p in querysets.catalog().plans if p.product_id == living.product_id), None)
    return {
        "now": situation.now,
        "plan_name": plan_name(living, situation),
        "ends_at": None if leaving.ends_at_once(living) else living.last_period_end,
        "at_once": leaving.ends_at_once(living),
        "features": plan.features if plan else (),
        "owed": situation.owed,
        "metered": any(item.metered for item in living.items),
        "intent": secrets.token_hex(8),
    }


def do_cancel(request: OrganizationRequest, living: SubscriptionFacts) -> HttpResponse:
    intent = intent_of(request)
    answer = leaving.cancel(living, intent=intent, stripe=stripe_client())
    if isinstance(answer, Done):
        messages.success(
            request, told(_("Your cancellation has reached Stripe."), shown=refresh(living.id, now=timezone.now()))
        )
        return redirect(local("billing:overview", request.organization))
    retry = Retry(local("billing:cancel", request.organization), _("Cancel the plan"), {"intent": intent})
    return show_answer(request, answer, retry=retry, back=local("billing:overview", request.organization))


@require_POST
@organization_page(Act.MANAGE_BILLING)
@in_time
def resume(request: OrganizationRequest) -> HttpResponse:
    overview = local("billing:overview", request.organization)
    living = querysets.living_subscription(request.organization)
    if living is None or not leaving.can_resume(living):
        messages.info(request, say_nothing_to_take_back(living))
        return redirect(overview)
    intent = intent_of(request)
    answer = leaving.resume(living, intent=intent, stripe=stripe_client())
    if isinstance(answer, Done):
        shown = refresh(living.id, now=timezone.now())
        messages.success(request, told(_("Your plan goes on."), shown=shown))
        return redirect(overview)
    retry = Retry(local("billing:resume", request.organization), _("Keep the plan"), {"intent": intent})
    return show_answer(request, answer, retry=retry, back=overview)


def say_nothing_to_take_back(living: SubscriptionFacts | None) -> str:
    """Say why not. It may be taken back already: by the same click, whose answer was lost on its way."""
    if living is None:
        return _("There is no cancellation to take back.")
    return _("%(plan)s goes on: no cancellation stands.") % {"plan": name_of(living)}


def told(sentence: str, *, shown: bool) -> str:
    return sentence if shown else f"{sentence} {_('This page shows it as soon as Stripe has confirmed it.')}"


def intent_of(request: OrganizationRequest) -> str:
    """Return the name of this decision from the form: a click repeated carries the same one."""
    return request.POST.get("intent", "")[:LONGEST_INTENT] or secrets.token_hex(8)


@require_POST
@organization_page(Act.MANAGE_BILLING)
@in_time
def payment_method(request: OrganizationRequest) -> HttpResponse:
    """Go to Stripe's own page for it; card numbers never reach us."""
    answer = open_portal(
        request.organization,
        return_url=absolute("billing:overview", request.organization),
        language=get_language() or "en",
        stripe=stripe_client(),
        now=timezone.now(),
    )
    if isinstance(answer, PortalPage):
        return redirect(answer.url)
    retry = Retry(local("billing:payment_method", request.organization), _("Change payment method"))
    return show_answer(request, answer, retry=retry, back=local("billing:overview", request.organization))
