"""The server in the thread: each of its states with what the subscription says, the next step, and both languages."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation

from billing.activity import verbs
from billing.provisioning.facts import ProvisionFacts
from billing.provisioning.states import State
from billing.thread import ActivityFacts, server
from tests.billing.objects import NOW, invoice, open_invoice, subscription, ts
from tests.billing.thread.test_thread import DECLINED, lines, thread_of

DAY = timedelta(days=1)
ENDED = {"status": "canceled", "ended_at": ts(NOW - DAY), "canceled_at": ts(NOW - DAY)}


def provision(state: State, **facts: Any) -> ProvisionFacts:
    return ProvisionFacts(state=state, since=NOW - DAY, **facts)


@pytest.mark.parametrize(
    ("sub", "server_is", "invoices", "tone", "word", "title", "reason"),
    [
        # paid, and being built
        (
            {}, provision(State.BUILDING), [invoice()], "waiting", "Building", "Your server is being built.",
            "This usually takes a few minutes, and this page updates by itself.",
        ),
        # a build failed; the next is under way
        (
            {}, provision(State.BUILDING, attempt=2), [invoice()], "waiting", "Building", "Your server is being built.",
            "The attempt before did not succeed; this is attempt 2. If it cannot be built, you get your money back.",
        ),
        # it serves
        (
            {}, provision(State.READY, address="192.0.2.1"), [], "good", "Ready", "Your server is ready.",
            "Its address is 192.0.2.1. Nothing is owed.",
        ),
        # a payment is missing, and it goes on for now
        (
            {"status": "past_due"}, provision(State.READY), [open_invoice()], "attention", "Past due",
            "Your payment of ¥5,000 did not go through.", None,
        ),
        # it was stopped
        (
            {"status": "past_due"}, provision(State.STOPPED), [open_invoice()], "attention", "Stopped",
            "Your server is stopped.",
            "Your payment of ¥5,000 did not go through. Your bank declined the card (insufficient funds). "
            "Nothing on it is lost: it starts again by itself as soon as the invoice is paid.",
        ),
        # an operator stopped it: no payment is talked of
        (
            {}, provision(State.STOPPED, held=True), [], "attention", "Stopped", "Your server is stopped.",
            "We stopped it; nothing on it is lost. Write to us if you need it, or if you do not know why.",
        ),
        # its plan has no server any more, and it is kept for now
        (
            {}, provision(State.ENDING, delete_at=NOW + 6 * DAY), [], "good", "Active", "Business is active.",
            "Your plan has no server any more: the one you had is stopped and kept until Monday 16 February, then "
            "deleted. Change back before that day, and it starts again with everything on it. Nothing is owed.",
        ),
        # the payment arrived
        (
            {}, provision(State.STOPPED), [], "waiting", "Starting", "Your server is starting again.",
            "Your payment arrived. This takes about a minute, and this page updates by itself.",
        ),
        # given up, and not yet refunded
        (
            ENDED, provision(State.FAILED, attempt=3), [], "stopped", "Cancelled", "We could not build your server.",
            "We tried it 3 times. Your plan is being cancelled, and what you paid goes back to you.",
        ),
        # refunded
        (
            ENDED, provision(State.FAILED, attempt=3, refunded=3000, currency="jpy"), [], "stopped", "Refunded",
            "We could not build your server.",
            "We tried it 3 times. Your plan is cancelled, and ¥3,000 is on its way back to you; banks take up to ten "
            "days. You can choose a plan again at any time.",
        ),
        # on trial, nothing to refund
        (
            ENDED, provision(State.FAILED, attempt=3, refunded=0), [], "stopped", "Cancelled",
            "We could not build your server.",
            "We tried it 3 times. Your plan is cancelled; nothing was charged. "
            "You can choose a plan again at any time.",
        ),
        # the subscription has ended; the server is kept
        (
            ENDED, provision(State.ENDING, delete_at=NOW + 6 * DAY), [], "stopped", "Ended",
            "Business ended on Monday 9 February.",
            "Your server is stopped and kept until Monday 16 February; then it is deleted with everything on it. "
            "Write to us before that day if you need something from it.",
        ),
        # deleted
        (
            ENDED, provision(State.DELETED), [], "stopped", "Ended", "Business ended on Monday 9 February.",
            "Your server was deleted on Monday 9 February, with everything on it. "
            "You can choose a plan again at any time.",
        ),
    ],
)  # fmt: skip
def test_it_says_how_the_server_stands(sub, server_is, invoices, tone, word, title, reason):
    failure = DECLINED if sub.get("status") == "past_due" else None
    now = thread_of(subscription(**sub), *invoices, provision=server_is, failure=failure).now
    assert (now.tone, now.word, now.title) == (tone, word, title)
    assert reason in (None, now.reason)


def test_what_comes_is_said_with_its_day():
    stopping = thread_of(
        subscription(status="past_due"), open_invoice(), provision=provision(State.READY, stop_at=NOW + 3 * DAY)
    )
    stops = "Your server is stopped unless the invoice is paid by then. Nothing on it is lost."
    assert ("02-13", stops) in lines(stopping)
    ending = thread_of(subscription(**ENDED), provision=provision(State.ENDING, delete_at=NOW + 6 * DAY))
    assert lines(ending) == [("02-16", "Your server is deleted, with everything on it.")]


def test_a_subscription_without_a_server_is_told_as_before():
    assert thread_of(subscription()).now.title == "Business is active."


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("verb", sorted(server.TELLERS))
def test_every_news_of_a_server_has_its_sentence(verb, language):
    data = {"attempt": 2, "refunded": 3000, "currency": "jpy", "stop_at": ts(NOW + DAY), "delete_at": ts(NOW + DAY)}
    with translation.override(language):
        past = thread_of(subscription(), language=language, activities=(ActivityFacts(verb, "sub_1", data, NOW),)).past
    told = next(moment for moment in past if moment.at == NOW)
    assert told.title
    assert (language == "ja") == any(ord(letter) > 0x3000 for letter in told.title)


def test_every_verb_of_a_provision_is_told_but_that_it_goes_on():
    named = {value for name, value in vars(verbs).items() if name.startswith("PROVISION_")}
    assert named - set(server.TELLERS) == {verbs.PROVISION_KEPT}
