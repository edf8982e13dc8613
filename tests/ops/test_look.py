"""What all pages of the console have in common for the eye: titles, moments, long names in their place."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from playwright.sync_api import Page

from accounts.models import Membership, Organization
from billing.models import Activity
from ops.console.columns import mode, shown
from ops.console.display import ago, moment
from ops.workflows.machines import save_version
from tests.cast import make_user, sign_in
from tests.ops.rows import make_customer, make_invoice, make_plan, make_subscription

AT = datetime(2026, 11, 3, 15, 42, 7, tzinfo=UTC)
LONG = "Donaudampfschifffahrtsgesellschaftskapitänswitwenversorgungskassenverwaltungsgebäudeeigentümergemeinschaft"
LONG_ADDRESS = f"{'rechnungswesen.' * 4}@{'dampfschifffahrt.' * 3}example"
# What leaves its own box, so that a neighbour covers it or the edge cuts it.
SPILLING = """() => [...document.querySelectorAll(".console section, .two-columns > *, .readonly")]
    .concat([document.documentElement])
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => box.textContent.trim().slice(0, 60))"""

# By how many pixels a list is wider than what it stands in.
WIDER_THAN_ITS_WINDOW = """() => {
    let box = document.querySelector("#result_list").parentElement;
    while (getComputedStyle(box).overflowX === "visible") box = box.parentElement;
    return box.scrollWidth - box.clientWidth;
}"""


@pytest.mark.parametrize(("language", "written"), [("en", "3 Nov 2026 15:42:07"), ("ja", "2026/11/03 15:42:07")])
def test_a_moment_is_written_so_that_day_and_month_are_not_mistaken(language: str, written: str) -> None:
    with translation.override(language):
        assert written in moment(AT)


def test_what_happened_a_moment_ago_happened_just_now() -> None:
    assert [ago(AT, AT), ago(AT, AT + timedelta(seconds=5))] == ["just now", "5.0 s ago"]


@pytest.mark.parametrize(("value", "says"), [(AT, "3 Nov 2026"), (True, "Yes"), (False, "No"), ("x", "x"), (0, "0")])
def test_a_column_shows_a_value_in_the_console_s_way(value: object, says: str) -> None:
    row = type("Row", (), {"thing": value})()
    assert says in str(shown("thing", "thing")(row))


@pytest.mark.parametrize("empty", [None, ""])
def test_a_column_without_a_value_shows_that_there_is_none(empty: object) -> None:
    assert "–" in shown("thing", "thing")(type("Row", (), {"thing": empty})())


def test_a_test_customer_is_no_alarm(olga, acme):
    make_customer(acme, now=timezone.now())
    page = sign_in(olga).get(reverse("admin:djstripe_customer_changelist")).content.decode()
    assert "Test mode" in page
    assert "close_small" not in page  # unfold's red cross
    assert mode(type("Row", (), {"livemode": True})()) == "Live"


def test_a_list_and_a_row_are_titled_by_their_names(olga, acme):
    customer = make_customer(acme, now=timezone.now())
    operator = sign_in(olga)
    titles = [
        operator.get(address).content.decode().split("<title>")[1].split("</title>")[0].strip()
        for address in (
            reverse("admin:djstripe_customer_changelist"),
            reverse("admin:djstripe_customer_change", args=[customer.pk]),
        )
    ]
    assert titles == ["Customers · Kessai console", f"{customer.id} · Customer · Kessai console"]


def test_what_dj_stripe_names_in_english_alone_is_said_in_japanese(olga, acme):
    olga.language = "ja"
    olga.save()
    customer = make_customer(acme, now=timezone.now())
    operator = sign_in(olga)
    assert "顧客 1 件" in operator.get(reverse("admin:djstripe_customer_changelist")).content.decode()
    assert (
        "<h2>顧客</h2>" in operator.get(reverse("admin:djstripe_customer_change", args=[customer.pk])).content.decode()
    )


def test_the_console_says_in_which_zone_its_times_are(olga):
    olga.time_zone = "Asia/Tokyo"
    olga.save()
    assert "times in JST" in sign_in(olga).get(reverse("admin:index")).content.decode()


def test_a_state_machine_without_notes_says_what_its_definition_says_of_itself(olga):
    states = {"Begin": {"Type": "Pass", "End": True}}
    text = json.dumps({"Comment": "Thanks whoever paid.", "StartAt": "Begin", "States": states})
    machine = save_version("thanks", text, reason="a test", now=AT).machine
    assert machine.purpose == "Thanks whoever paid."
    assert "Thanks whoever paid." in sign_in(olga).get(reverse("admin:ops_statemachine_changelist")).content.decode()
    machine.notes = "Thanks."
    assert machine.purpose == "Thanks."


@pytest.mark.parametrize("path", ["/admin/no/such/page/", "/admin/accounts/user/add/"])
def test_an_operator_who_went_astray_is_led_back_to_the_console(olga, path):
    page = sign_in(olga).get(path).content.decode()
    assert f'href="{reverse("admin:index")}">Go to the console' in page
    assert "organization" not in page.split("<h1>")[1].split("</main>")[0]


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_long_name_covers_nothing_and_pushes_nothing_out(live_server, page: Page, acme, olga, width):
    now = timezone.now()
    acme.name, acme.billing_email = LONG, LONG_ADDRESS
    acme.save()
    Membership.objects.create(organization=acme, user=make_user("Wolfeschlegelsteinhausenbergerdorff" * 2))
    subscription = make_subscription(make_customer(acme, now=now), make_plan("Team", now=now), now=now)
    invoice = make_invoice(subscription, now=now)
    link = acme.customer_links.get()
    Activity.objects.create(organization=acme, verb="invoice:paid", dedup_key="a", at=now, subject_id=subscription.id)
    cookie = sign_in(olga).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page.set_viewport_size({"width": width, "height": 900})
    spilling = {}
    for address in (
        reverse("admin:index"),
        reverse("admin:accounts_organization_change", args=[acme.pk]),
        reverse("admin:accounts_customerlink_change", args=[link.pk]),
        reverse("admin:djstripe_subscription_change", args=[subscription.pk]),
        reverse("admin:djstripe_customer_change", args=[subscription.customer.pk]),
        reverse("admin:djstripe_invoice_change", args=[invoice.pk]),
    ):
        page.goto(live_server.url + address)
        spilling[address] = page.evaluate(SPILLING)
    assert not any(spilling.values()), spilling


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_no_list_is_wider_than_the_window_for_a_long_name(live_server, page: Page, acme, olga):
    now = timezone.now()
    acme.name, acme.billing_email = LONG, LONG_ADDRESS
    acme.save()
    Organization.objects.create(name=f"{LONG}, part", billing_email=acme.billing_email, parent=acme)
    make_user("Wolfeschlegelsteinhausenbergerdorff" * 2)
    make_invoice(make_subscription(make_customer(acme, now=now), make_plan("Team", now=now), now=now), now=now)
    Activity.objects.create(organization=acme, verb="invoice:paid", dedup_key="a", at=now, subject_id="in_1" * 6)
    cookie = sign_in(olga).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page.set_viewport_size({"width": 1280, "height": 900})
    wider = {}
    for model in (
        "accounts_organization", "accounts_membership", "accounts_customerlink", "accounts_user", "billing_activity",
        "djstripe_customer", "djstripe_invoice", "djstripe_subscription",
    ):  # fmt: skip
        page.goto(live_server.url + reverse(f"admin:{model}_changelist"))
        assert page.locator("#result_list tbody tr").count() > 0, model
        wider[model] = page.evaluate(WIDER_THAN_ITS_WINDOW)
    assert not any(over > 1 for over in wider.values()), wider
