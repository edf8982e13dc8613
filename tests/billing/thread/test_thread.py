"""The thread past · now · next: what it says in each situation, and what it never says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from billing.activity import verbs
from billing.mirror.facts import (
    PaymentFailure,
    SubscriptionStatus,
    invoice_facts,
    payment_method_facts,
    schedule_facts,
    subscription_facts,
)
from billing.thread import ActivityFacts, OrderFacts, Situation, Thread, build_thread
from tests.billing.objects import END, NOW, START, card, invoice, item, open_invoice, subscription, ts

NAMES = {"prod_business": "Business", "prod_team": "Team"}
RETRY = datetime(2026, 2, 12, 9, 0, tzinfo=UTC)
DECLINED = PaymentFailure("card_declined", "insufficient_funds", "Your card has insufficient funds.", False)


def thread_of(sub: dict[str, Any] | None, *invoices: dict[str, Any], method: bool = True, **facts: Any) -> Thread:
    situation = Situation(
        now=facts.pop("now", NOW),
        language=facts.pop("language", "en"),
        subscription=subscription_facts(sub) if sub else None,
        invoices=tuple(invoice_facts(data) for data in invoices),
        method=payment_method_facts(card()) if method else None,
        product_names=NAMES,
        **facts,
    )
    return build_thread(situation)


def lines(thread: Thread) -> list[tuple[str, str]]:
    """What comes, as (date, sentence with its detail)."""
    return [(f"{m.at:%m-%d}" if m.at else "", " ".join(filter(None, (m.title, m.detail)))) for m in thread.next]


CHARGE = ("03-03", "We charge ¥5,000 to Visa ·· 4242.")
ENDS = ("03-03", "Business ends. Nothing more is charged.")
PAUSE_TRIAL = {"end_behavior": {"missing_payment_method": "pause"}}
CANCEL_TRIAL = {"end_behavior": {"missing_payment_method": "cancel"}}


@pytest.mark.parametrize(
    ("sub", "invoices", "facts", "tone", "title", "coming"),
    [
        # nothing was ever bought
        (None, [], {}, "stopped", "You have no plan yet.", []),
        # a page is open at Stripe; nobody has come back from it
        (
            None,
            [],
            {"order": OrderFacts("Business", RETRY, False)},
            "waiting",
            "Your payment page for Business is open.",
            [("02-12", "The payment page closes at 09:00 (UTC). If you have not paid by then, nothing is charged.")],
        ),
        # back from Stripe's page: never "active" before the mirror says so
        (
            None,
            [],
            {"order": OrderFacts("Business", RETRY, True)},
            "waiting",
            "We are waiting for Stripe's confirmation of Business.",
            [],
        ),
        # back from Stripe's page, in the second before Stripe completes the subscription
        (
            {"status": "incomplete", "created": ts(NOW)},
            [],
            {"order": OrderFacts("Business", RETRY, True)},
            "waiting",
            "We are waiting for Stripe's confirmation of Business.",
            [],
        ),
        # all is well
        ({}, [invoice()], {}, "good", "Business is active.", [CHARGE]),
        # all is well, but the next payment has nothing to be made with
        (
            {"default_payment_method": None},
            [],
            {"method": False},
            "good",
            "Business is active.",
            [("03-03", "¥5,000 falls due. Add a payment method, so that it can be charged.")],
        ),
        # paid by invoice
        (
            {"collection_method": "send_invoice"},
            [],
            {},
            "good",
            "Business is active.",
            [("03-03", "We send you an invoice of ¥5,000.")],
        ),
        # what the amount leaves out is said
        (
            {"automatic_tax": {"enabled": True}, "discounts": ["di_1"]},
            [],
            {},
            "good",
            "Business is active.",
            [("03-03", CHARGE[1] + " Before your discount. Plus tax where it applies.")],
        ),
        # usage decides: no amount is invented
        (
            {"items": [item(price={"recurring": {"interval": "month", "usage_type": "metered"}}, quantity=None)]},
            [],
            {},
            "good",
            "Business is active.",
            [("03-03", "Business renews. Usage is added.")],
        ),
        # seats multiply
        (
            {"items": [item(quantity=3)]},
            [],
            {},
            "good",
            "Business is active.",
            [("03-03", "We charge ¥15,000 to Visa ·· 4242.")],
        ),
        # free
        (
            {"items": [item(price={"unit_amount": 0})]},
            [],
            {},
            "good",
            "Business is active.",
            [("03-03", "Business renews, free of charge.")],
        ),
        # cancelled: it ends with the period, no charge is announced
        (
            {"cancel_at_period_end": True, "cancel_at": ts(END), "canceled_at": ts(START)},
            [],
            {},
            "waiting",
            "Business is active and ends on 3 March.",
            [ENDS],
        ),
        # cancelled without a date of its own: the period's end counts
        ({"cancel_at_period_end": True}, [], {}, "waiting", "Business is active and ends on 3 March.", [ENDS]),
        # ends later than the next renewal: the renewal is charged first
        (
            {"cancel_at": ts(END + timedelta(days=40))},
            [],
            {},
            "waiting",
            "Business is active and ends on 12 April.",
            [CHARGE, ("04-12", "Business ends. Renewals before that day are charged as usual.")],
        ),
        # collection paused: nothing is charged, and it is said until when
        (
            {"pause_collection": {"behavior": "void", "resumes_at": ts(END)}},
            [],
            {},
            "waiting",
            "Business is active; payments are paused.",
            [("03-03", "Payments are collected again.")],
        ),
        # trial with a card
        (
            {"status": "trialing", "trial_end": ts(END)},
            [],
            {},
            "good",
            "Your trial of Business runs until 3 March.",
            [CHARGE],
        ),
        # trial without a card, set to cancel at its end
        (
            {"status": "trialing", "trial_end": ts(END), "trial_settings": CANCEL_TRIAL},
            [],
            {"method": False},
            "good",
            "Your trial of Business runs until 3 March.",
            [("03-03", "The trial and Business end unless you add a payment method. Nothing is charged.")],
        ),
        # trial without a card, set to pause at its end
        (
            {"status": "trialing", "trial_end": ts(END), "trial_settings": PAUSE_TRIAL},
            [],
            {"method": False},
            "good",
            "Your trial of Business runs until 3 March.",
            [("03-03", "The trial ends and Business pauses unless you add a payment method. Nothing is charged.")],
        ),
        # trial, cancelled
        (
            {"status": "trialing", "trial_end": ts(END), "cancel_at": ts(END)},
            [],
            {},
            "waiting",
            "Your trial of Business runs until 3 March.",
            [ENDS],
        ),
        # a renewal failed; Stripe tries again
        (
            {"status": "past_due"},
            [open_invoice(next_payment_attempt=ts(RETRY))],
            {"failure": DECLINED},
            "attention",
            "Your payment of ¥5,000 did not go through.",
            [("02-12", "We try again to charge ¥5,000 to Visa ·· 4242."), CHARGE],
        ),
        # a renewal failed; Stripe has no further attempt planned
        (
            {"status": "past_due"},
            [open_invoice()],
            {"failure": DECLINED},
            "attention",
            "Your payment of ¥5,000 did not go through.",
            [CHARGE, ("", "Your invoice of ¥5,000 is to be paid.")],
        ),
        # the first payment is not complete: 23 hours from creation
        (
            {"status": "incomplete", "created": ts(NOW)},
            [],
            {},
            "attention",
            "Your first payment for Business is not complete.",
            [("02-11", "If the first payment has not succeeded, the order lapses. Nothing is charged.")],
        ),
        ({"status": "incomplete_expired"}, [], {}, "stopped", "Your order of Business has lapsed.", []),
        # Stripe gave up: nothing renews by itself
        (
            {"status": "unpaid"},
            [open_invoice()],
            {},
            "attention",
            "Your payment of ¥5,000 did not go through.",
            [("", "Your invoice of ¥5,000 is to be paid.")],
        ),
        ({"status": "paused"}, [], {}, "waiting", "Business is paused.", []),
        ({"status": "canceled", "ended_at": ts(START)}, [], {}, "stopped", "Business ended on 3 February.", []),
        # ended, and a new checkout is under way: the new one is what is so
        (
            {"status": "canceled", "ended_at": ts(START)},
            [],
            {"order": OrderFacts("Team", RETRY, True)},
            "waiting",
            "We are waiting for Stripe's confirmation of Team.",
            [],
        ),
        # a status of Stripe's that this code has never heard of
        (
            {"status": "hibernating"},
            [],
            {},
            "attention",
            "Stripe reports a state of Business that this page cannot name.",
            [],
        ),
    ],
)
def test_it_says_what_is_so_and_what_comes(
    sub: dict[str, Any] | None,
    invoices: list[dict[str, Any]],
    facts: dict[str, Any],
    tone: str,
    title: str,
    coming: list[tuple[str, str]],
) -> None:
    thread = thread_of(None if sub is None else subscription(**sub), *invoices, **facts)
    assert (thread.now.tone, thread.now.title) == (tone, title)
    assert lines(thread) == coming


def test_a_declined_renewal_says_the_banks_reason_and_until_when() -> None:
    thread = thread_of(subscription(status="past_due"), open_invoice(next_payment_attempt=ts(RETRY)), failure=DECLINED)
    assert thread.now.reason == (
        "Your bank declined the card (insufficient funds). Your service goes on. "
        "We try again on Thursday 12 February; use another card if you do not want to wait."
    )


def test_several_invoices_that_wait_for_somebody_are_counted_not_listed() -> None:
    waiting = [open_invoice(id=f"in_{number}", attempted=False, attempt_count=0) for number in range(3)]
    thread = thread_of(subscription(), *waiting)
    assert thread.now.reason == "3 invoices wait for your payment, ¥15,000 in all."
    assert lines(thread) == [CHARGE, ("", "3 invoices are to be paid, ¥15,000 in all.")]


def test_what_is_charged_by_itself_is_not_among_the_invoices_that_wait() -> None:
    charged = open_invoice(id="in_charged", next_payment_attempt=ts(RETRY), attempted=False, attempt_count=0)
    waiting = [open_invoice(id=f"in_{number}", attempted=False, attempt_count=0) for number in range(2)]
    assert lines(thread_of(subscription(), charged, *waiting)) == [
        ("02-12", "We charge ¥5,000 to Visa ·· 4242."),
        CHARGE,
        ("", "2 invoices are to be paid, ¥10,000 in all."),
    ]


def test_each_currency_is_summed_for_itself() -> None:
    waiting = [open_invoice(id="in_1", attempted=False), open_invoice(id="in_2", attempted=False, currency="usd")]
    assert "¥5,000 + $50.00" in lines(thread_of(subscription(), *waiting))[-1][1]


def test_a_decline_that_we_have_no_words_for_is_said_in_stripes() -> None:
    odd = PaymentFailure("card_declined", "brand_new_code", "Your card is on holiday.", False)
    thread = thread_of(subscription(status="past_due"), open_invoice(), failure=odd)
    assert thread.now.reason.startswith("Your card is on holiday. ")


def test_a_reason_that_came_after_the_news_is_told_with_it() -> None:
    news = ActivityFacts(verbs.INVOICE_PAYMENT_FAILED, "in_2", {"amount": 5000, "currency": "jpy"}, START)
    thread = thread_of(subscription(status="past_due"), open_invoice(), failure=DECLINED, activities=(news,))
    assert thread.past[0].detail == "Your bank declined the card (insufficient funds)."


def test_japanese_sets_no_space_between_sentences() -> None:
    sub, bill = subscription(status="past_due"), open_invoice()
    assert ". " in thread_of(sub, bill, failure=DECLINED).now.reason
    assert "funds). " not in thread_of(sub, bill, failure=DECLINED, language="ja").now.reason


def test_a_stolen_card_reads_like_any_other_decline() -> None:
    stolen = PaymentFailure("card_declined", "stolen_card", "Your card was stolen.", False)
    thread = thread_of(subscription(status="past_due"), open_invoice(), failure=stolen)
    assert "stolen" not in thread.now.reason


def test_a_schedule_announces_the_change_instead_of_todays_amount() -> None:
    phases = [
        {"start_date": ts(START), "end_date": ts(END), "items": [{"price": "price_business"}]},
        {"start_date": ts(END), "end_date": None, "items": [{"price": "price_team"}]},
    ]
    schedule = {"id": "sub_sched_1", "subscription": "sub_1", "status": "active", "phases": phases}
    thread = thread_of(
        subscription(schedule="sub_sched_1"),
        schedule=schedule_facts(schedule),
        price_products={"price_business": "prod_business", "price_team": "prod_team"},
    )
    assert lines(thread) == [("03-03", "Your plan changes to Team.")]


def test_a_schedule_that_ends_in_cancellation_announces_the_end() -> None:
    phases = [{"start_date": ts(START), "end_date": ts(END), "items": [{"price": "price_business"}]}]
    schedule = {"id": "sub_sched_1", "status": "active", "phases": phases, "end_behavior": "cancel"}
    thread = thread_of(
        subscription(schedule="sub_sched_1"),
        schedule=schedule_facts(schedule),
        price_products={"price_business": "prod_business"},
    )
    assert lines(thread) == [ENDS]


def test_a_renewal_draft_announces_its_own_amount() -> None:
    draft = open_invoice(
        status="draft",
        attempted=False,
        attempt_count=0,
        amount_due=7400,
        auto_advance=True,
        automatically_finalizes_at=ts(NOW + timedelta(minutes=50)),
    )
    assert ("02-10", "We charge ¥7,400 to Visa ·· 4242.") in lines(thread_of(subscription(), draft))


def test_it_tells_a_payment_once_though_news_and_mirror_both_know_it() -> None:
    news = ActivityFacts(verbs.INVOICE_PAID, "in_1", {"amount": 5000, "currency": "jpy", "number": "ACME-0001"}, START)
    thread = thread_of(subscription(), invoice(), activities=(news,))
    assert [m.title for m in thread.past].count("You paid ¥5,000.") == 1


def test_the_past_is_told_from_the_mirror_alone_after_a_resync() -> None:
    assert {m.title for m in thread_of(subscription(), invoice()).past} == {"Business began.", "You paid ¥5,000."}
    untold = subscription(created=None, items=[])  # as Stripe's oldest: nobody knows when it began
    assert not thread_of(untold).past


def test_every_verb_that_concerns_a_customer_has_a_sentence() -> None:
    told = [v for v in vars(verbs).values() if isinstance(v, str) and v.startswith(("subscription:", "invoice:pa"))]
    silent = {verbs.SUBSCRIPTION_STARTED}
    for verb in set(told) - silent:
        news = ActivityFacts(verb, "x_1", {"amount": 1, "currency": "jpy", "product_id": "prod_business"}, START)
        assert thread_of(None, activities=(news,)).past, verb


def test_days_are_those_of_the_viewers_zone() -> None:
    late = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)  # 3 March in Tokyo
    sub = subscription(cancel_at=ts(late))
    assert thread_of(sub).now.title.endswith("2 March.")
    with timezone.override("Asia/Tokyo"):
        assert thread_of(sub).now.title.endswith("3 March.")


def test_dollars_and_euros_have_their_cents() -> None:
    sub = subscription(currency="usd", items=[item(price={"currency": "usd", "unit_amount": 4999})])
    assert lines(thread_of(sub)) == [("03-03", "We charge $49.99 to Visa ·· 4242.")]


# --- invariants -------------------------------------------------------------------------------------

moments = st.one_of(st.none(), st.integers(ts(START) or 0, (ts(END) or 0) + 10_000_000))
subscriptions = st.builds(
    subscription,
    status=st.sampled_from([*SubscriptionStatus, "something_new"]),
    cancel_at=moments,
    canceled_at=moments,
    ended_at=moments,
    trial_end=moments,
    cancel_at_period_end=st.booleans(),
    collection_method=st.sampled_from(["charge_automatically", "send_invoice"]),
    pause_collection=st.one_of(st.none(), st.fixed_dictionaries({"resumes_at": moments})),
    items=st.lists(
        st.builds(
            item,
            quantity=st.integers(0, 10_000),
            current_period_end=moments,
            price=st.fixed_dictionaries({"unit_amount": st.one_of(st.none(), st.integers(0, 10**12))}),
        ),
        max_size=4,
    ),
)
bills = st.lists(
    st.builds(
        invoice,
        id=st.uuids().map(lambda value: f"in_{value.hex}"),
        status=st.sampled_from(["draft", "open", "paid", "void", "uncollectible", "novel"]),
        amount_remaining=st.integers(0, 10**12),
        attempt_count=st.integers(0, 5),
        auto_advance=st.booleans(),
        next_payment_attempt=moments,
        due_date=moments,
    ),
    max_size=5,
)


@given(sub=subscriptions, invoices=bills, method=st.booleans(), language=st.sampled_from(["en", "ja"]))
def test_next_is_in_order_and_never_in_the_past(
    sub: dict[str, Any], invoices: list[dict[str, Any]], method: bool, language: str
) -> None:
    with translation.override(language):
        thread = thread_of(sub, *invoices, method=method, language=language)
    dated = [m.at for m in thread.next if m.at]
    assert dated == sorted(dated)
    assert all(at > NOW for at in dated)
    assert all(m.at and m.at <= NOW for m in thread.past)
    assert thread.now.title and thread.now.reason and thread.now.word


@given(sub=subscriptions, method=st.booleans())
def test_what_has_ended_or_paused_charges_nothing(sub: dict[str, Any], method: bool) -> None:
    thread = thread_of(sub, method=method)
    facts = subscription_facts(sub)
    if not facts.living or facts.status in ("paused", "unpaid") or facts.collection_paused:
        assert not [m for m in thread.next if "charge ¥" in m.title or "falls due" in m.title]


@given(sub=subscriptions)
def test_nothing_is_charged_on_or_after_the_day_it_ends(sub: dict[str, Any]) -> None:
    facts = subscription_facts(sub)
    charged = [m.at for m in thread_of(sub).next if m.title.startswith("We charge") and m.at]
    if facts.ends_at:
        assert all(at < facts.ends_at for at in charged)


def test_an_unknown_product_is_still_a_sentence() -> None:
    sub = subscription(items=[item(price={"product": "prod_gone"})])
    assert thread_of(sub).now.title == "Your subscription is active."
