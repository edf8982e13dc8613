"""The pages for what Stripe's refusal or silence means; whatever was typed or chosen can be sent again from them."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from billing.stripe_answers import Refused, Unreachable


@dataclass(frozen=True)
class Retry:
    """The form that repeats the same call: its address, its button, its hidden fields."""

    url: str
    label: str
    fields: dict[str, str] = field(default_factory=dict)


def show_answer(request: HttpRequest, answer: Refused | Unreachable, *, retry: Retry, back: str) -> HttpResponse:
    """Say what Stripe said (422), or that it could not be reached (503) and that repeating is safe."""
    context = {"answer": answer, "retry": retry, "back": back}
    if isinstance(answer, Refused):
        return render(request, "billing/refused.html", context, status=422)
    response = render(request, "billing/unreachable.html", context, status=503)
    response["Retry-After"] = "10"
    return response
