"""Every list and every page of the console, for those who may see it, at a bounded number of queries."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import Invitation
from billing.models import Activity, CheckoutOrder, InboxState, Provision
from ops.console.groups import GROUPS
from ops.console.site import console
from ops.models import PlaybookTrial, Question, StaffAct
from tests.cast import make_user, sign_in
from tests.ops.rows import (
    make_approval,
    make_customer,
    make_event,
    make_execution,
    make_invoice,
    make_machinery,
    make_mail,
    make_plan,
    make_rule,
    make_subscription,
)

LISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in console._registry)


@pytest.fixture
def furnished(acme, alice, olga):
    """One row of everything the console shows."""
    now = timezone.now()
    customer = make_customer(acme, now=now)
    subscription = make_subscription(customer, make_plan("Team", now=now), now=now)
    make_invoice(subscription, now=now)
    make_event(now, object_id=subscription.id, customer_id=customer.id)
    Activity.objects.create(organization=acme, verb="invoice:paid", dedup_key="a", at=now, subject_id=subscription.id)
    CheckoutOrder.objects.create(organization=acme, price_id="price_1", idempotency_key="k", created_at=now)
    StaffAct.objects.create(actor=olga, act="inbox-event:replay", subject_kind="e", subject_id="evt_1", at=now)
    week = timedelta(days=7)
    every = IntervalSchedule.objects.create(every=15, period="seconds")
    PeriodicTask.objects.create(name="sweep-inbox", task="billing.tasks.sweep_inbox", interval=every)
    Group.objects.create(name="Night shift")
    make_machinery(now)
    make_rule(now)
    make_execution(now)
    make_approval(now)
    make_mail(acme, now)
    Provision.objects.create(organization=acme, subscription_id="sub_1", state="ready", since=now, begun_by="k")
    Question.objects.create(
        organization=acme, customer_id=customer.id, key="q", by="upgrade", text={"en": "Move?"}, asked_at=now, until=now
    )
    PlaybookTrial.objects.create(playbook="dunning", rule_name="dunning", since=now - week, until=now, asked_at=now)
    Invitation.objects.create(organization=acme, email="dan@example.com", token_hash="x" * 64, expires_at=now + week)
    return subscription


def test_dj_stripes_own_admin_is_not_in_it(db):
    with pytest.raises(NoReverseMatch):
        reverse("admin:djstripe_apikey_changelist")
    with pytest.raises(NoReverseMatch):
        reverse("admin:djstripe_webhookendpoint_changelist")


@pytest.mark.parametrize("name", LISTS)
def test_an_operator_can_open_and_search_the_list(furnished, olga, name):
    page = sign_in(olga).get(reverse(f"admin:{name}_changelist"), {"q": "a"})
    assert page.status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_an_operator_can_open_a_row_s_page(furnished, olga, name):
    model = next(model for model in console._registry if f"{model._meta.app_label}_{model._meta.model_name}" == name)
    row = model._default_manager.first()
    assert row, f"The furniture lacks a row of {name}."
    page = sign_in(olga).get(reverse(f"admin:{name}_change", args=[row.pk]))
    assert page.status_code == 200


def test_somebody_who_is_no_operator_gets_no_console(furnished, alice):
    client = sign_in(alice)
    for name in ("admin:index", "admin:djstripe_subscription_changelist", "admin:billing_inboxevent_changelist"):
        page = client.get(reverse(name))
        assert page.status_code in (302, 403), name
        assert b"Acme" not in page.content


def test_a_visitor_is_sent_to_the_common_sign_in(client, db):
    first = client.get(reverse("admin:index"))
    second = client.get(first["Location"])
    assert second["Location"].startswith(reverse("account_login"))


def test_an_operator_without_permissions_sees_no_rows(furnished):
    newcomer = make_user("Nadia", is_staff=True)
    assert sign_in(newcomer).get(reverse("admin:djstripe_subscription_changelist")).status_code == 403


# a group, and what its members may open
@pytest.mark.parametrize(
    ("group", "name", "status"),
    [
        ("Support", "djstripe_subscription", 200),
        ("Support", "billing_inboxevent", 200),
        ("Support", "django_celery_beat_periodictask", 403),
        ("Finance", "djstripe_invoice", 200),
        ("Finance", "billing_inboxevent", 403),
        ("On-call", "django_celery_beat_periodictask", 200),
        ("Support", "auth_group", 403),
    ],
)
def test_a_group_opens_what_it_is_for(furnished, group, name, status):
    call_command("console_groups")
    member = make_user("Mio", is_staff=True)
    member.groups.add(Group.objects.get(name=group))
    assert sign_in(member).get(reverse(f"admin:{name}_changelist")).status_code == status


def test_making_the_groups_again_keeps_what_was_added_by_hand(db):
    call_command("console_groups")
    support = Group.objects.get(name="Support")
    support.permissions.add(Permission.objects.get(codename="view_group"))
    call_command("console_groups")
    assert set(Group.objects.values_list("name", flat=True)) == set(GROUPS)
    assert support.permissions.filter(codename="view_group").exists()


def add_subscriptions(organization: Any, *, rows: int) -> None:
    now = timezone.now()
    price = make_plan("Team", now=now)
    customer = make_customer(organization, now=now)
    for _number in range(rows):
        make_subscription(customer, price, now=now)


def queries_of(client: Any, address: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as caught:
        assert client.get(address).status_code == 200
    return len(caught)


def test_fifty_subscriptions_need_no_more_queries_than_two(acme, charlie, olga):
    client, address = sign_in(olga), reverse("admin:djstripe_subscription_changelist")
    add_subscriptions(acme, rows=2)
    few = queries_of(client, address)
    add_subscriptions(charlie.organizations.get(), rows=48)
    assert queries_of(client, address) <= few <= 10


def test_fifty_events_need_no_more_queries_than_two(olga):
    client, address = sign_in(olga), reverse("admin:billing_inboxevent_changelist")
    for number in range(50):
        make_event(timezone.now())
        if number == 1:
            few = queries_of(client, address)
    assert queries_of(client, address) <= few <= 8


def test_fifty_invoices_need_no_more_queries_than_two(acme, olga):
    now = timezone.now()
    subscription = make_subscription(make_customer(acme, now=now), make_plan("Team", now=now), now=now)
    client, address = sign_in(olga), reverse("admin:djstripe_invoice_changelist")
    for number in range(50):
        make_invoice(subscription, now=now)
        if number == 1:
            few = queries_of(client, address)
    assert queries_of(client, address) <= few <= 8


def test_a_subscription_s_page_needs_no_more_queries_for_a_long_history(acme, olga):
    now = timezone.now()
    subscription = make_subscription(make_customer(acme, now=now), make_plan("Team", now=now), now=now)
    client, address = sign_in(olga), reverse("admin:djstripe_subscription_change", args=[subscription.pk])
    make_invoice(subscription, now=now)
    make_event(now, object_id=subscription.id)
    few = queries_of(client, address)
    for _number in range(30):
        make_invoice(subscription, now=now)
        make_event(now, object_id=subscription.id, customer_id=subscription.customer_id)
    assert queries_of(client, address) <= few <= 30


def titles(page: Any) -> list[str]:
    return [row.id for row in page.context["cl"].result_list]


def test_subscriptions_are_found_by_status_plan_and_organization(acme, charlie, olga):
    now, others = timezone.now(), charlie.organizations.get()
    team, business = make_plan("Team", now=now), make_plan("Business", now=now)
    ours, theirs = make_customer(acme, now=now), make_customer(others, now=now)
    active = make_subscription(ours, team, now=now)
    overdue = make_subscription(theirs, business, now=now, status="past_due")
    ending = make_subscription(ours, business, now=now, cancel_at_period_end=True)
    client, address = sign_in(olga), reverse("admin:djstripe_subscription_changelist")

    def found(**query: Any) -> set[str]:
        return set(titles(client.get(address, query)))

    assert found(status="past_due") == {overdue.id}
    assert found(product=business.product_id) == {overdue.id, ending.id}
    assert found(customer__subscriber__id__exact=acme.pk) == {active.id, ending.id}
    assert found(ending="yes") == {ending.id}
    assert found(ending="no") == {active.id, overdue.id}
    assert found(q="charlie") == {overdue.id}
    assert found(q=active.id) == {active.id}
    assert found(q=ours.id) == {active.id, ending.id}


def test_events_are_found_by_id_object_customer_and_part_of_a_type(olga):
    now = timezone.now()
    paid = make_event(now, type="invoice.paid", object_id="in_1Abc", customer_id="cus_9Xyz")
    updated = make_event(now, customer_id="cus_9Xyz", state=InboxState.FAILED)
    make_event(now)
    client, address = sign_in(olga), reverse("admin:billing_inboxevent_changelist")

    def found(**query: Any) -> set[int]:
        return {row.pk for row in client.get(address, query).context["cl"].result_list}

    assert found(q=paid.external_id) == {paid.pk}
    assert found(q="in_1Abc") == {paid.pk}
    assert found(q="cus_9Xyz") == {paid.pk, updated.pk}
    assert found(q="voice.pa") == {paid.pk}
    assert found(state__exact="failed") == {updated.pk}
    assert found(family="invoice") == {paid.pk}
    assert found(q="evt_1Nobody") == set()


def test_a_subscription_s_page_shows_its_thread_events_and_invoices(furnished, olga):
    stranger = make_event(timezone.now())
    address = reverse("admin:djstripe_subscription_change", args=[furnished.pk])
    page = sign_in(olga).get(address)
    text = page.content.decode()
    assert page.context["thread"].now.title in text
    assert furnished.id in text
    assert "customer.subscription.updated" in text
    assert "ACME-" in text
    assert stranger.object_id not in text


def test_a_customer_without_organization_is_shown_without_a_thread(olga, db):
    now = timezone.now()
    subscription = make_subscription(make_customer(None, now=now), make_plan("Team", now=now), now=now)
    page = sign_in(olga).get(reverse("admin:djstripe_subscription_change", args=[subscription.pk]))
    assert page.status_code == 200
    assert "belongs to no organization" in page.content.decode()


# a beginning of an id leads to the thing's own page; what has no page leads to the events about it
def test_an_id_opens_the_page_of_what_it_names(furnished, acme, olga):
    client = sign_in(olga)

    def opened(object_id: str) -> str:
        return str(client.get(reverse("admin:find", args=[object_id]))["Location"])

    assert opened(furnished.id) == reverse("admin:djstripe_subscription_change", args=[furnished.pk])
    assert opened(acme.public_id) == reverse("admin:accounts_organization_change", args=[acme.pk])
    assert opened("pm_1Unknown") == reverse("admin:billing_inboxevent_changelist") + "?q=pm_1Unknown"
    assert opened("sub_1Gone") == reverse("admin:billing_inboxevent_changelist") + "?q=sub_1Gone"


def test_the_search_box_finds_organizations_and_ids(furnished, acme, olga):
    client = sign_in(olga)
    by_name = client.get(reverse("admin:search"), {"s": "acm", "extended": "1"}).content.decode()
    by_id = client.get(reverse("admin:search"), {"s": furnished.id, "extended": "1"}).content.decode()
    assert reverse("admin:accounts_organization_change", args=[acme.pk]) in by_name
    assert reverse("admin:djstripe_subscription_change", args=[furnished.pk]) in by_id


def test_an_operator_changes_the_password_where_everybody_does(olga):
    page = sign_in(olga).get(reverse("admin:password_change"))
    assert page["Location"] == reverse("account_change_password")


def test_the_first_page_shows_an_operator_only_what_they_may_see(furnished, acme):
    now = timezone.now()
    failed = make_event(now, state=InboxState.FAILED, error="APIConnectionError: no answer")
    begun = now - timedelta(hours=1)
    CheckoutOrder.objects.update(created_at=begun)
    call_command("console_groups")
    newcomer = make_user("Nadia", is_staff=True)
    client, address = sign_in(newcomer), reverse("admin:index")
    text = client.get(address).content.decode()
    assert "1 event failed." in text
    for hidden in (failed.error, failed.object_id, acme.name, "Latest activities", "Subscriptions by status"):
        assert hidden not in text
    newcomer.groups.add(Group.objects.get(name="Finance"))
    text = client.get(address).content.decode()
    assert "Checkout of Acme" in text
    assert "Latest activities" in text
    assert failed.error not in text


def test_a_subscription_s_page_keeps_events_from_those_who_may_not_see_them(furnished):
    call_command("console_groups")
    member = make_user("Mio", is_staff=True)
    member.groups.add(Group.objects.get(name="Finance"))
    text = sign_in(member).get(reverse("admin:djstripe_subscription_change", args=[furnished.pk])).content.decode()
    assert "ACME-" in text
    assert "customer.subscription.updated" not in text
