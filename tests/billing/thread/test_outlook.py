"""What is foreseen of an unpaid subscription: said now and next, in the reader's words, while it is owed."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from billing.entitlements.access import SuspensionFacts
from billing.entitlements.foreseen import Act, OutlookFacts, Step
from tests.billing.objects import NOW, invoice, open_invoice, subscription, ts
from tests.billing.thread.test_thread import DECLINED, lines, thread_of

DAY = timedelta(days=1)
REST, END = NOW + 7 * DAY, NOW + 19 * DAY
PAST_DUE = subscription(status="past_due")
OWED = open_invoice(next_payment_attempt=ts(NOW + 2 * DAY))


def outlook(*steps: tuple[Act, datetime], sub: str = "sub_1", invoice: str = "in_2") -> tuple[OutlookFacts, ...]:
    return (OutlookFacts(sub, invoice, tuple(Step(act, at) for act, at in steps)),)


BOTH = outlook((Act.REST, REST), (Act.TRY, END), (Act.END, END))


def test_it_is_said_beforehand_when_access_rests_and_when_the_plan_ends() -> None:
    thread = thread_of(PAST_DUE, OWED, failure=DECLINED, outlooks=BOTH)
    assert thread.now.reason == (
        "Your bank declined the card (insufficient funds). Your service goes on. We try again on Thursday 12 February; "
        "use another card if you do not want to wait. "
        "If it is not paid, access stops on 17 February and the subscription ends on 1 March."
    )
    # The renewal of 3 March is not announced: by then there would be nothing to renew.
    assert lines(thread) == [
        ("02-12", "We try again to charge ¥5,000 to Visa ·· 4242."),
        (
            "02-17",
            "Access to Business stops if the invoice is not paid by then. "
            "Your data are safe, and access comes back by itself as soon as it is paid.",
        ),
        (
            "03-01",
            "Business is cancelled if the invoice is not paid by then. "
            "We try a last time to charge it before that. Nothing more is charged.",
        ),
    ]


@pytest.mark.parametrize(
    ("sub", "invoices", "outlooks"),
    [
        (PAST_DUE, [invoice(id="in_2")], BOTH),  # paid, and the workflow has not got to it yet
        (PAST_DUE, [OWED], outlook((Act.REST, REST), sub="sub_9")),  # about another subscription
        (PAST_DUE, [OWED], outlook((Act.REST, REST), invoice="in_9")),  # about another invoice
        (PAST_DUE, [OWED], outlook((Act.REST, NOW - DAY), (Act.END, NOW - DAY))),  # it should be over
        (subscription(status="canceled", ended_at=ts(NOW)), [OWED], BOTH),  # it has ended otherwise
        (PAST_DUE, [OWED], ()),
    ],
)
def test_nothing_is_said_of_what_will_not_come(sub, invoices, outlooks) -> None:
    thread = thread_of(sub, *invoices, outlooks=outlooks)
    assert "If it is not paid" not in thread.now.reason
    assert not [line for _, line in lines(thread) if "rests" in line or "is cancelled" in line]


def test_while_access_rests_the_end_is_what_the_execution_says() -> None:
    said_then = NOW + 18 * DAY
    suspension = SuspensionFacts("cus_1", "sub_1", "in_2", "unpaid", NOW - DAY, "dunning", said_then)
    thread = thread_of(PAST_DUE, open_invoice(), suspensions=(suspension,), outlooks=outlook((Act.END, END)))
    assert thread.now.title == "Access to Business is suspended."
    assert thread.now.reason.endswith("If it is not paid, the subscription ends on 1 March.")
    assert [day for day, line in lines(thread) if "is cancelled" in line] == ["03-01"]
    alone = thread_of(PAST_DUE, open_invoice(), suspensions=(suspension,))
    assert [day for day, line in lines(alone) if "is cancelled" in line] == ["02-28"]


def test_the_days_are_those_of_the_readers_language_and_zone() -> None:
    late = outlook((Act.REST, REST.replace(hour=20)), (Act.END, END.replace(hour=20)))
    with translation.override("ja"), timezone.override(ZoneInfo("Asia/Tokyo")):
        thread = thread_of(PAST_DUE, open_invoice(), outlooks=late, language="ja")
    assert (
        "お支払いがない場合、2月18日にご利用が停止され、3月2日にサブスクリプションが終了します。" in thread.now.reason
    )
