"""The style page: every component in every state, for those who build pages. Only where DEBUG or the demo is on."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from billing.templatetags.billing_ui import WORDS
from billing.thread import Moment, Now, Thread


class SpecimenForm(forms.Form):
    """One field of every kind."""

    name = forms.CharField(help_text="It stands on your invoices.")
    nickname = forms.CharField(required=False)
    role = forms.ChoiceField(choices=[("member", "Member"), ("billing", "Billing")])
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    every = forms.ChoiceField(choices=[("month", "Monthly"), ("year", "Yearly")], widget=forms.RadioSelect)
    remember = forms.BooleanField(required=False, help_text="For fourteen days.")


def show_style(request: HttpRequest) -> HttpResponse:
    if not (settings.DEBUG or settings.DEMO):
        raise Http404
    now = datetime.now(tz=UTC)
    for level in (messages.SUCCESS, messages.ERROR):
        messages.add_message(request, level, _("Saved. Nothing else changed."))
    wrong = SpecimenForm({"name": "", "role": "emperor"})
    wrong.is_valid()
    context: dict[str, Any] = {
        "now": now,
        "threads": [active(now), past_due(now), pending(now), canceled(now)],
        "statuses": WORDS,
        "form": SpecimenForm(),
        "wrong": wrong,
        "amounts": [(500_000, "jpy"), (123_456_789_012, "usd"), (-4_990, "eur")],
        "long_name": "Vereinigte Dampfschifffahrtsgesellschaftskapitänswitwenkasse KG",
    }
    return render(request, "look/style.html", context)


def active(now: datetime) -> Thread:
    past = [
        Moment(now - timedelta(days=2), "Invoice KES-0007 was paid.", "¥5,000 · Visa ·· 4242", "good"),
        Moment(now - timedelta(days=33), "Invoice KES-0006 was paid.", "¥5,000 · Visa ·· 4242", "good"),
        Moment(now - timedelta(days=60), "Your plan changed to Business.", "", ""),
        Moment(now - timedelta(days=400), "You subscribed to Starter.", "", "good"),
    ]
    coming = [
        Moment(now + timedelta(days=4), "We charge ¥5,000 to Visa ·· 4242."),
        Moment(now + timedelta(days=120), "Your discount of 20% ends.", "Then a month costs ¥6,250.", "waiting"),
    ]
    return Thread(past, Now("Business is active", "The month is paid until 3 March.", "good", "Active"), coming)


def past_due(now: datetime) -> Thread:
    reason = (
        "Your bank declined the card (insufficient funds). Your service goes on until 12 March. "
        "Use another card or try again."
    )
    past = [Moment(now - timedelta(hours=5), "A payment of $50.00 failed.", "Visa ·· 0341", "attention")]
    coming = [Moment(now + timedelta(days=3), "We try again to charge $50.00 to Visa ·· 0341.", "", "attention")]
    return Thread(past, Now("The last payment failed", reason, "attention", "Past due"), coming)


def pending(now: datetime) -> Thread:
    told = "We are waiting for Stripe's confirmation. It usually takes seconds. You can close this page."
    return Thread([], Now("Your payment is on its way", told, "waiting", "Pending"), [])


def canceled(now: datetime) -> Thread:
    past = [Moment(now - timedelta(days=1), "Business ended.", "Nothing more is charged.", "stopped")]
    told = "It ended on the day you chose. Your invoices stay here."
    return Thread(past, Now("You have no plan", told, "stopped", "Canceled"), [])
