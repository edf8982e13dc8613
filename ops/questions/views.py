"""The page behind a question's link: it shows what is asked, and takes the answer by POST alone.

Mail scanners follow links: nothing that is only looked at decides anything. Whoever has the link may answer, signed in
or not; the page speaks the language of the reader to whom the mail went.
"""

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.zones import zone_or_utc
from billing import clock
from billing.money import format_money
from billing.thread.words import date_words, moment_words
from ops.questions.ask import Stand, decide, link_of, stand_of
from ops.questions.models import Answer, Question, QuestionLink, said

STATUS = {Stand.OPEN: 200, Stand.ANSWERED: 200, Stand.REPLACED: 410, Stand.EXPIRED: 410, Stand.WITHDRAWN: 410}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show_question(request: HttpRequest, token: str) -> HttpResponse:
    """Show what is asked, or how it was settled; a POST with `answer` yes or no answers it, once."""
    link = link_of(token)
    if link is None:
        return render(request, "questions/unknown.html", status=404)
    with translation.override(link.language), timezone.override(ZoneInfo(zone_or_utc(link.zone))):
        if request.method == "POST":
            given = request.POST.get("answer", "")
            if given in Answer.values:
                decide(link, Answer(given), now=clock.now())
            return private(redirect("ops:question", token=token))
        return private(show(request, link))


def show(request: HttpRequest, link: QuestionLink) -> HttpResponse:
    question = link.question
    stand = stand_of(question, now=clock.now())
    context = {
        "question": question,
        "text": said(question.text, link.language),
        "note": said(question.note, link.language),
        "money": format_money(question.amount, question.currency, link.language) if question.amount is not None else "",
        "until": moment_words(question.until, now=clock.now(), language=link.language),
        "open": stand is Stand.OPEN,
        "told": told(stand, question, link),
        "reader": link,
    }
    # Written out here, in the reader's language; a template response would be rendered after the language is reset.
    return render(request, "questions/question.html", context, status=STATUS[stand])


def told(stand: Stand, question: Question, link: QuestionLink) -> dict[str, Any]:
    """How it was settled: a heading and what it means; nothing while it is open."""
    if stand is Stand.ANSWERED:
        return told_answered(question, link)
    day = date_words(question.until, language=link.language)
    return {
        Stand.OPEN: {},
        Stand.REPLACED: {
            "title": _("This question was asked anew."),
            "text": _("Please use the link in our latest mail; this one does nothing any more."),
        },
        Stand.EXPIRED: {
            "title": _("This question is closed."),
            "text": _("It could be answered until %(day)s. Nothing was agreed to. Write to us if you still want to.")
            % {"day": day},
        },
        Stand.WITHDRAWN: {
            "title": _("Your answer is not needed any more."),
            "text": _("The matter was settled in another way. Nothing was agreed to by this link."),
        },
    }[stand]


def told_answered(question: Question, link: QuestionLink) -> dict[str, Any]:
    by, at = question.answered_by, question.answered_at or question.asked_at
    values = {
        "day": date_words(at, language=link.language),
        "who": by.name or by.email if by else _("somebody of your organization"),
    }
    yes = question.answer == Answer.YES
    if by == link:
        text = _("You agreed on %(day)s.") if yes else _("You declined on %(day)s.")
    else:
        text = _("%(who)s agreed on %(day)s.") if yes else _("%(who)s declined on %(day)s.")
    return {
        "title": _("Thank you, this is answered."),
        "text": text % values,
        "more": _("Nothing more is to be done. An answer cannot be changed here; write to us if it was a mistake."),
    }


def private(response: HttpResponse) -> HttpResponse:
    """The address is a secret: it goes into no search engine (and to no other site, by the portal's own policy)."""
    response["X-Robots-Tag"] = "noindex"
    return response
