"""What happens in a life: generators that act through the API and yield the time of their next act.

A story begins on the first of a month, ten minutes after midnight UTC, and acts at that time of day, so that its copies
can begin on any other day up to the 28th: the lengths of all periods stay what they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.billing.periods import DAY, months_later
from sandbox.fill.lives import Life
from sandbox.kinds import Doc

Story = Callable[[Life], Iterator[int]]
METER, COUPON = "api_calls", "WELCOME20"
MONTHLY = ("basic_jpy", "pro_jpy", "business_usd", "team_eur")


@dataclass(frozen=True)
class Telling:
    """`weight` says how common it is; `least` how many months old a life must be for it."""

    story: Story
    weight: int
    least: int = 0
    at_month_end: bool = False
    """It begins on the last of a month, and so do its copies: the 31st becomes the 28th and the 31st again."""
    redeems: bool = False
    """It uses the coupon, once and at its beginning."""
    clocked: bool = False
    """In the time of a test clock. There may be few of these: some numbered customers have such a life."""


def pays(life: Life) -> Iterator[int]:
    """Subscribes and pays, month after month."""
    _subscribe(life)
    yield from ()


def tries_first(life: Life) -> Iterator[int]:
    """Two weeks of trial, then pays."""
    _subscribe(life, trial_period_days="14")
    yield from ()


def pays_yearly(life: Life) -> Iterator[int]:
    life.plan = "pro_yearly_usd"
    _subscribe(life)
    yield from ()


def upgrades(life: Life) -> Iterator[int]:
    """A larger plan in the middle of a month, with prorations."""
    life.plan = "basic_jpy"
    subscription = _subscribe(life)
    yield months_later(life.start, 1) + 9 * DAY
    item = subscription["items"]["data"][0]["id"]
    price = life.prices["pro_jpy"]
    life.post(f"/v1/subscriptions/{subscription['id']}", **{"items[0][id]": item, "items[0][price]": price})


def adds_seats(life: Life) -> Iterator[int]:
    """More seats after two months, billed at once."""
    life.plan = "team_eur"
    subscription = _subscribe(life, **{"items[0][quantity]": "3"})
    yield months_later(life.start, 2) + 4 * DAY
    changed = {"items[0][id]": subscription["items"]["data"][0]["id"], "items[0][quantity]": "5"}
    life.post(f"/v1/subscriptions/{subscription['id']}", proration_behavior="always_invoice", **changed)


def fails_then_pays(life: Life) -> Iterator[int]:
    """The card fails at a renewal; two days later there is a new one, and the retry succeeds."""
    _subscribe(life)
    yield months_later(life.start, 1) - DAY
    life.pay_with("pm_card_chargeCustomerFail")
    yield months_later(life.start, 1) + 2 * DAY
    life.pay_with("pm_card_mastercard")


def fails(life: Life) -> Iterator[int]:
    """The card fails at a renewal and nobody does anything."""
    _subscribe(life)
    yield months_later(life.start, max(life.age - 1, 1)) - DAY
    life.pay_with("pm_card_chargeCustomerFail")


def never_pays(life: Life) -> Iterator[int]:
    """The first payment fails and the subscription expires."""
    life.pay_with("pm_card_chargeCustomerFail")
    _subscribe(life)
    yield from ()


def cancels(life: Life) -> Iterator[int]:
    """Leaves at the end of the second month."""
    subscription = _subscribe(life)
    yield months_later(life.start, 1) + 12 * DAY
    life.post(f"/v1/subscriptions/{subscription['id']}", cancel_at_period_end="true")


def is_leaving(life: Life) -> Iterator[int]:
    """Has said that this period is the last."""
    subscription = _subscribe(life)
    yield months_later(life.start, life.age) + DAY
    life.post(
        f"/v1/subscriptions/{subscription['id']}",
        cancel_at_period_end="true", **{"cancellation_details[feedback]": "too_expensive"},
    )  # fmt: skip


def pauses(life: Life) -> Iterator[int]:
    """Payment collection is paused for two months."""
    subscription = _subscribe(life)
    yield months_later(life.start, 1) + 5 * DAY
    resumes = str(months_later(life.start, 3) + 5 * DAY)
    life.post(
        f"/v1/subscriptions/{subscription['id']}",
        **{"pause_collection[behavior]": "void", "pause_collection[resumes_at]": resumes},
    )


def is_refunded(life: Life) -> Iterator[int]:
    """Half of the first payment is given back."""
    _subscribe(life)
    yield life.start + 3 * DAY
    charge = life.get("/v1/charges", customer=life.customer)["data"][0]
    life.post("/v1/refunds", charge=charge["id"], amount=str(charge["amount"] // 2), reason="requested_by_customer")


def disputes(life: Life) -> Iterator[int]:
    """The bank takes a payment back; evidence does not help."""
    _subscribe(life)
    yield life.start + 6 * DAY
    charge = life.get("/v1/charges", customer=life.customer)["data"][0]
    dispute = life.post("/_sandbox/disputes", charge=charge["id"])
    yield life.start + 9 * DAY
    life.post(f"/_sandbox/disputes/{dispute['id']}/decide", outcome="lost")


def pays_invoices(life: Life) -> Iterator[int]:
    """A company that is sent invoices and pays each one by transfer, a week later."""
    life.plan = "business_usd"
    _subscribe(life, collection_method="send_invoice", days_until_due="30")
    at = life.start
    while True:
        at += 7 * DAY
        yield at
        for invoice in life.get("/v1/invoices", customer=life.customer, status="open")["data"]:
            life.post(f"/v1/invoices/{invoice['id']}/pay", paid_out_of_band="true")


def pays_in_the_shop(life: Life) -> Iterator[int]:
    """One order, paid with a voucher at a convenience store."""
    intent = life.post(
        "/v1/payment_intents",
        amount="8800", currency="jpy", customer=life.customer, confirm="true",
        **{"payment_method_types[0]": "konbini", "payment_method_data[type]": "konbini",
           "payment_method_data[billing_details][name]": life.name,
           "payment_method_data[billing_details][email]": f"{life.mail}@example.com"},
    )  # fmt: skip
    yield life.start + DAY
    life.post(f"/_sandbox/vouchers/{intent['id']}/pay")


def uses(life: Life) -> Iterator[int]:
    """A plan and what is counted: reports usage every fourth day, and pays for it in tiers a month later."""
    life.plan = "pro_jpy"
    _subscribe(life, **{"items[1][price]": life.prices["calls_jpy"]})
    number = 0
    while True:
        number += 1
        yield life.start + number * 4 * DAY
        value = {"payload[stripe_customer_id]": life.customer, "payload[value]": str(150 + number * 377 % 900)}
        once = f"{life.customer}-{number}"
        life.post("/v1/billing/meter_events", event_name=METER, identifier=once, **value)


def comes_with_a_coupon(life: Life) -> Iterator[int]:
    """A fifth off for three months."""
    _subscribe(life, **{"discounts[0][coupon]": COUPON})
    yield from ()


def tries_and_leaves(life: Life) -> Iterator[int]:
    """A trial that nobody pays for afterwards."""
    subscription = _subscribe(life, trial_period_days="14")
    yield life.start + 5 * DAY
    life.post(f"/v1/subscriptions/{subscription['id']}", cancel_at_period_end="true")


def pays_by_transfer(life: Life) -> Iterator[int]:
    """One order, paid from a bank account with more than was asked; the rest stays in the cash balance."""
    way = "payment_method_options[customer_balance]"
    life.post(
        "/v1/payment_intents",
        amount="12000", currency="jpy", customer=life.customer, confirm="true",
        **{"payment_method_types[0]": "customer_balance", "payment_method_data[type]": "customer_balance",
           f"{way}[funding_type]": "bank_transfer", f"{way}[bank_transfer][type]": "jp_bank_transfer"},
    )  # fmt: skip
    yield life.start + 2 * DAY
    life.post("/_sandbox/transfers", customer=life.customer, amount="15000", currency="jpy")


def follows_a_schedule(life: Life) -> Iterator[int]:
    """Two months of the small plan, then the larger one by itself."""
    phases = {}
    for number, (plan, months) in enumerate((("basic_jpy", "2"), ("pro_jpy", "12"))):
        phases[f"phases[{number}][items][0][price]"] = life.prices[plan]
        phases[f"phases[{number}][duration][interval]"] = "month"
        phases[f"phases[{number}][duration][interval_count]"] = months
    life.post(
        "/v1/subscription_schedules", customer=life.customer, start_date="now", end_behavior="release", **phases
    )  # fmt: skip
    yield from ()


def lives_on_a_clock(life: Life) -> Iterator[int]:
    """Somebody tries what a renewal looks like: five weeks on a test clock."""
    _subscribe(life)
    yield life.start + DAY
    frozen = life.get(f"/v1/test_helpers/test_clocks/{life.clock}")["frozen_time"]
    life.post(f"/v1/test_helpers/test_clocks/{life.clock}/advance", frozen_time=str(frozen + 25 * DAY))
    yield life.start + DAY + 3600
    life.post(f"/v1/test_helpers/test_clocks/{life.clock}/advance", frozen_time=str(frozen + 35 * DAY))


def only_registers(life: Life) -> Iterator[int]:
    """Never subscribes."""
    yield from ()


def _subscribe(life: Life, **more: str) -> Doc:
    given = {"customer": life.customer, "items[0][price]": life.prices[life.plan], **more}
    return life.post("/v1/subscriptions", **given)


TELLINGS = (
    Telling(pays, 400),
    Telling(tries_first, 120),
    Telling(pays_yearly, 60),
    Telling(upgrades, 60, least=2),
    Telling(adds_seats, 30, least=3),
    Telling(fails_then_pays, 60, least=2),
    Telling(fails, 40, least=2),
    Telling(never_pays, 30),
    Telling(cancels, 70, least=2),
    Telling(is_leaving, 20, least=1),
    Telling(pauses, 20, least=2),
    Telling(is_refunded, 20),
    Telling(disputes, 8, least=1),
    Telling(pays_invoices, 25),
    Telling(pays_in_the_shop, 25),
    Telling(pays, 60, at_month_end=True),
    Telling(uses, 40, least=1),
    Telling(comes_with_a_coupon, 40, least=1, redeems=True),
    Telling(tries_and_leaves, 25),
    Telling(pays_by_transfer, 20),
    Telling(follows_a_schedule, 15),
    Telling(lives_on_a_clock, 0, clocked=True),
    Telling(only_registers, 60),
)
"""Weights are shares of a company's customers."""
EXTRA: dict[Story, tuple[str, str]] = {
    disputes: ("POST", "/_sandbox/disputes"),
    pays_in_the_shop: ("POST", "/_sandbox/vouchers/{id}/pay"),
}
"""What must be answered for a story to be told."""
