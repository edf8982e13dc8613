"""Sending a test or a replay: the form, and where one lands after it."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget

from ops.console.destination_words import said
from ops.console.replay import ReasonForm
from ops.effects.destinations.invoke import Called
from ops.effects.destinations.shape import PATH
from ops.effects.outcome import Done, Retry

EXAMPLE = json.dumps({"text": "A test from Kessai", "amount": 5000, "currency": "jpy"}, indent=2)


class TestForm(ReasonForm):
    """What a test says, and why it is sent."""

    body = forms.CharField(
        label=gettext_lazy("Body"),
        required=False,
        strip=False,
        max_length=65_536,
        initial=EXAMPLE,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
    )
    paths = forms.CharField(
        label=gettext_lazy("Path values"),
        help_text=gettext_lazy("One a line, for each * of the address."),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, places: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = places
        if not places:
            del self.fields["paths"]

    def clean_paths(self) -> str:
        text: str = self.cleaned_data["paths"]
        if len(text.splitlines()) != self.places:
            wanted = _("The address has %(n)d places for path values: write one value on each line.")
            raise ValidationError(wanted % {"n": self.places})
        return text

    def parameters(self) -> dict[str, Any]:
        return {PATH: self.cleaned_data["paths"].splitlines()} if self.places else {}


def sent(request: HttpRequest, called: Called, *, back: str) -> HttpResponse:
    """Say what came of a request and go to it; `back` where none went out."""
    outcome = called.outcome
    if isinstance(outcome, Done):
        messages.success(request, _("It was done."))
    elif isinstance(outcome, Retry) and not outcome.tried:
        messages.warning(
            request, _("Nothing was sent yet. %(error)s Try again in a while.") % {"error": said(outcome.error)}
        )
    else:
        messages.error(request, _("It was not done. %(error)s") % {"error": said(outcome.error)})
    return (
        redirect("admin:ops_destinationrequest_change", called.requests[-1].pk) if called.requests else redirect(back)
    )
