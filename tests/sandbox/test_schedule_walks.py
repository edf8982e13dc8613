"""Random schedules: whatever their phases are and however far time is moved, the subscription is what the phase that
runs says, every month is billed once at its phase's price, and the end is as asked."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import new_key
from tests.sandbox.test_redeeming import DAY, coupon, customer, price
from tests.sandbox.travel import Travel

PRICES = (1000, 2500, 400)
PHASE = st.tuples(
    st.sampled_from(range(3)),  # which price
    st.integers(1, 4),  # how many
    st.integers(1, 3),  # for how many months
    st.sampled_from(["", "trial", "coupon"]),
)


def parameters(prices: list[str], off: str, phases: list[Any]) -> dict[str, str]:
    given: dict[str, str] = {}
    for number, (which, quantity, months, kind) in enumerate(phases):
        path = f"phases[{number}]"
        given |= {
            f"{path}[items][0][price]": prices[which],
            f"{path}[items][0][quantity]": str(quantity),
            f"{path}[duration][interval]": "month",
            f"{path}[duration][interval_count]": str(months),
        }
        if kind == "trial":
            given[f"{path}[trial]"] = "true"
        if kind == "coupon":
            given[f"{path}[discounts][0][coupon]"] = off
    return given


def expected(phases: list[Any]) -> list[int]:
    """What each invoice comes to of which something is due: one for every month that is no trial."""
    found: list[int] = []
    for which, quantity, months, kind in phases:
        full = PRICES[which] * quantity
        found += [] if kind == "trial" else [full // 2 if kind == "coupon" else full] * months
    return found


def check_now(travel: Travel, schedule: Any, prices: list[str], phases: list[Any]) -> None:
    """The running phase is the one that time is in, and the subscription is as it says."""
    running = [
        number for number, phase in enumerate(schedule["phases"])
        if phase["start_date"] <= travel.now < phase["end_date"]
    ]  # fmt: skip
    if not running:
        return
    phase, (which, quantity, _, kind) = schedule["phases"][running[0]], phases[running[0]]
    assert schedule["current_phase"] == {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    subscription = travel.get(f"/v1/subscriptions/{schedule['subscription']}")
    [item] = subscription["items"]["data"]
    assert (item["price"]["id"], item["quantity"]) == (prices[which], quantity)
    assert subscription["status"] == ("trialing" if kind == "trial" else "active")
    assert len(subscription["discounts"]) == (1 if kind == "coupon" else 0)
    assert item["current_period_start"] <= travel.now < item["current_period_end"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    phases=st.lists(PHASE, min_size=1, max_size=3),
    behavior=st.sampled_from(["release", "cancel"]),
    jumps=st.lists(st.integers(1, 60), min_size=1, max_size=5),
)
def test_a_schedule_is_lived_as_it_was_written(
    travel: Travel, phases: list[Any], behavior: str, jumps: list[int]
) -> None:
    travel.key = new_key()
    prices, off = [price(travel, amount) for amount in PRICES], coupon(travel, percent_off="50")
    made = travel.post(
        "/v1/subscription_schedules", customer=customer(travel), start_date="now", end_behavior=behavior,
        **parameters(prices, off, phases),
    )  # fmt: skip
    for before, after in zip(made["phases"], made["phases"][1:], strict=False):
        assert before["end_date"] == after["start_date"]
    for days in jumps:
        travel.advance(days * DAY)
        check_now(travel, travel.get(f"/v1/subscription_schedules/{made['id']}"), prices, phases)
    travel.advance(max(made["phases"][-1]["end_date"] - travel.now, 0) + 2 * 3600)
    done = travel.get(f"/v1/subscription_schedules/{made['id']}")
    subscription = travel.get(f"/v1/subscriptions/{made['subscription']}")
    assert (done["status"], subscription["status"]) == {
        "release": ("released", "active"), "cancel": ("completed", "canceled"),
    }[behavior]  # fmt: skip
    found = travel.get("/v1/invoices", subscription=made["subscription"], limit="100")["data"][::-1]
    billed = [invoice["total"] for invoice in found if invoice["total"]]
    assert billed[: len(expected(phases))] == expected(phases)
    assert bool(billed[len(expected(phases)) :]) is (behavior == "release")
    travel.ask("DELETE", f"/v1/subscriptions/{made['subscription']}")
