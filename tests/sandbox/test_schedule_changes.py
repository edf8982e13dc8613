"""What a schedule says of its invoices, and what can no longer be changed of it."""

from tests.sandbox.test_redeeming import customer, price
from tests.sandbox.travel import Travel


def phases(sold: str, **more: str) -> dict[str, str]:
    """One phase of two months."""
    lasts = {"phases[0][duration][interval]": "month", "phases[0][duration][interval_count]": "2"}
    return {"phases[0][items][0][price]": sold} | lasts | more


def test_a_phase_says_what_its_invoices_say(travel: Travel) -> None:
    given = phases(price(travel, 1000), customer=customer(travel), start_date="now")
    said = {
        "phases[0][invoice_settings][footer]": "Thank you",
        "default_settings[invoice_settings][description]": "Plan",
        "default_settings[invoice_settings][footer]": "Bye",
    }
    schedule = travel.post("/v1/subscription_schedules", **given, **said)
    settings = travel.get(f"/v1/subscriptions/{schedule['subscription']}")["invoice_settings"]
    assert (settings["description"], settings["footer"]) == ("Plan", "Thank you")


def test_what_has_begun_keeps_its_beginning(travel: Travel) -> None:
    given = phases(price(travel, 1000), customer=customer(travel), start_date="now")
    schedule = travel.post("/v1/subscription_schedules", **given)
    [phase] = schedule["phases"]
    travel.advance(1000)
    changed = {"phases[0][items][0][price]": phase["items"][0]["price"], "phases[0][end_date]": str(phase["end_date"])}
    path = f"/v1/subscription_schedules/{schedule['id']}"
    moved = str(phase["start_date"] - 1000)
    status, said = travel.ask("POST", path, **changed, **{"phases[0][start_date]": moved})
    assert (status, said["error"]["param"]) == (400, "phases[0][start_date]")
    kept = travel.post(path, **changed, **{"phases[0][start_date]": str(phase["start_date"])})
    assert kept["phases"][0]["start_date"] == phase["start_date"]


def test_the_subscription_says_from_its_first_event_on_which_schedule_it_came_from(travel: Travel) -> None:
    given = phases(price(travel, 1000), customer=customer(travel), start_date="now")
    schedule = travel.post("/v1/subscription_schedules", **given)
    [created] = travel.get("/v1/events", type="customer.subscription.created")["data"]
    assert created["data"]["object"]["schedule"] == schedule["id"]
