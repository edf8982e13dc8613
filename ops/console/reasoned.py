"""One act on one row: the page that says what it means and asks why, then does it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.models import User
from ops.console.replay import ReasonForm
from ops.console.site import console


@dataclass(frozen=True)
class Reasoned:
    """`do(row, actor, reason=, now=)` is the act; it raises `refusal`, a sentence, where it cannot be."""

    title: str
    sentence: str  # what it means, before it is done
    done: str  # what has happened, after it
    do: Callable[..., object]
    refusal: type[Exception]


def ask_why(request: HttpRequest, row: Model, act: Reasoned, *, subject: str, now: datetime) -> HttpResponse:
    """Show the page of an act; on a POST with a reason, do it and go back to the row's own page."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    back = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    if request.method == "POST" and form.is_valid():
        try:
            act.do(row, cast(User, request.user), reason=form.cleaned_data["reason"], now=now)
        except act.refusal as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, act.done)
            return redirect(back)
    context: dict[str, Any] = {
        **console.each_context(request),
        "title": act.title,
        "subject": subject,
        "sentence": act.sentence,
        "form": form,
        "back": back,
        "opts": row._meta,
    }
    return TemplateResponse(request, "ops/reason.html", context)
