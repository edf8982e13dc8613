"""Operators make connections and destinations, test them and read their log; secrets go in and never come out."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ops.console.site import console as site
from ops.effects.destinations.models import (
    Authorization,
    Connection,
    ConnectionParameter,
    Destination,
    DestinationHealth,
    DestinationRequest,
    Origin,
)
from ops.effects.sealing import unseal
from ops.models import StaffAct
from tests.cast import sign_in
from tests.ops.destinations.conftest import PASSWORD, send
from tests.ops.destinations.server import Reply
from tests.ops.rows import make_destination, make_requests

SECRET = "s3cret/välue&"


@pytest.fixture
def console(olga) -> Client:
    return sign_in(olga)


def connection_form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "crm-key",
        "description": "",
        "authorization": "api-key",
        "identity": "X-Api-Key",
        "secret": SECRET,
        "token_endpoint": "",
        "token_method": "POST",
        "client_place": "header",
        "reason": "The CRM wants it.",
        "parameters-TOTAL_FORMS": "0",
        "parameters-INITIAL_FORMS": "0",
    } | fields


def parameter(number: int, **fields: Any) -> dict[str, Any]:
    said = {"place": "header", "name": "X-Team", "value": "billing"} | fields
    return {f"parameters-{number}-{name}": value for name, value in said.items()}


def errors_of(page: Any) -> dict[str, list[str]]:
    return dict(page.context["adminform"].form.errors)


def wrong(model: type[Any], operator: Any, said: dict[str, Any]) -> list[str]:
    """At which fields the form that adds such a row says that something is wrong."""
    request = RequestFactory().get("/")
    request.user = operator
    form = site._registry[model].get_form(request)(said)
    return list(form.errors)


def add_connection(console: Client, **fields: Any) -> Any:
    return console.post(reverse("admin:ops_connection_add"), connection_form(**fields))


def test_a_connection_is_made_with_its_secrets_sealed_and_the_act_written_down(console, olga):
    page = add_connection(
        console,
        **{"parameters-TOTAL_FORMS": "2"},
        **parameter(0, name="X-Token", value="param-secret", secret="on"),
        **parameter(1, place="query"),
    )
    assert page.status_code == 302, errors_of(page)
    made = Connection.objects.get()
    assert (unseal(made.sealed_secret), made.identity) == (SECRET, "X-Api-Key")
    assert made.secret_set_at
    secret, clear = made.parameters.order_by("place")
    assert (secret.value, unseal(secret.sealed_value)) == ("", "param-secret")
    assert (clear.value, clear.sealed_value) == ("billing", "")
    act = StaffAct.objects.get()
    assert (act.act, act.actor, act.reason) == ("connection:add", olga, "The CRM wants it.")
    assert act.after["secret"] == "•••"
    assert act.after["parameters set"] == ["header X-Token", "query X-Team = billing"]
    for text in (SECRET, "param-secret"):
        assert text not in str((act.before, act.after))


def test_secrets_are_on_no_page_and_stay_when_left_empty(console):
    add_connection(console, **{"parameters-TOTAL_FORMS": "1"}, **parameter(0, value="param-secret", secret="on"))
    made = Connection.objects.get()
    row = made.parameters.get()
    address = reverse("admin:ops_connection_change", args=[made.pk])
    text = console.get(address).content.decode()
    assert "Set on" in text
    for hidden in (SECRET, "param-secret", made.sealed_secret, row.sealed_value):
        assert hidden not in text
    kept = connection_form(
        secret="", description="Notes", **{"parameters-TOTAL_FORMS": "1", "parameters-INITIAL_FORMS": "1"},
        **parameter(0, id=row.pk, connection=made.pk, value="", secret="on"),
    )  # fmt: skip
    page = console.post(address, kept)
    assert page.status_code == 302, errors_of(page)
    made.refresh_from_db()
    assert (made.description, unseal(made.sealed_secret)) == ("Notes", SECRET)
    assert unseal(made.parameters.get().sealed_value) == "param-secret"


def test_a_form_that_is_wrong_does_not_give_the_secret_back(console):
    page = add_connection(console, name="no spaces allowed")
    assert page.status_code == 200
    assert SECRET not in page.content.decode()
    assert not Connection.objects.exists()


# what is typed, and at which field it is said
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"secret": ""}, "secret"),
        ({"secret": "abc"}, "secret"),
        ({"identity": "X Api Key"}, "identity"),
        ({"identity": "Host"}, "identity"),
        ({"secret": "two\nlines"}, "identity"),
        ({"authorization": "basic", "identity": "a:b"}, "identity"),
        ({"authorization": "oauth", "identity": "client"}, "token_endpoint"),
        ({"authorization": "oauth", "identity": "c", "token_endpoint": "ftp://a.example/"}, "token_endpoint"),
        ({"authorization": "oauth", "identity": "c", "token_endpoint": "https://a.example/*"}, "token_endpoint"),
        ({"authorization": "oauth", "identity": "c", "token_endpoint": "https://169.254.169.254/"}, "token_endpoint"),
        ({"reason": ""}, "reason"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_at_its_place(olga, fields, field):
    assert wrong(Connection, olga, connection_form(**fields)) == [field]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Host"},
        {"name": "X Y"},
        {"value": "円"},
        {"value": ""},
        {"place": "query", "name": ""},
        {"secret": "on", "value": "abc"},
    ],
)
def test_a_parameter_that_cannot_be_sent_is_refused(console, fields):
    page = add_connection(console, **{"parameters-TOTAL_FORMS": "1"}, **parameter(0, **fields))
    assert page.status_code == 200
    assert not Connection.objects.exists()


def destination_form(connection: Connection, **fields: Any) -> dict[str, Any]:
    return {
        "name": "crm-notes",
        "description": "",
        "connection": connection.pk,
        "method": "POST",
        "endpoint": "https://crm.example/v1/*/notes",
        "rate_limit": "10",
        "timeout_seconds": "5",
        "reason": "Notes for large invoices.",
    } | fields


def test_a_destination_is_made_with_a_reason(console, crm):
    page = console.post(reverse("admin:ops_destination_add"), destination_form(crm.connection))
    assert page.status_code == 302, errors_of(page)
    made = Destination.objects.get(name="crm-notes")
    assert (made.endpoint, made.rate_limit, made.signed) == ("https://crm.example/v1/*/notes", 10, False)
    assert StaffAct.objects.get().act == "destination:add"


# what is typed, and at which field it is said
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"endpoint": "crm.example/notes"}, "endpoint"),
        ({"endpoint": "javascript:alert(1)"}, "endpoint"),
        ({"endpoint": "https://user:word@crm.example/"}, "endpoint"),
        ({"endpoint": "https://crm.example/#part"}, "endpoint"),
        ({"endpoint": "https://*.example/"}, "endpoint"),
        ({"endpoint": "https://crm.example/?q=*"}, "endpoint"),
        ({"endpoint": "https://crm.example/a b"}, "endpoint"),
        ({"endpoint": "https://[half/"}, "endpoint"),
        ({"endpoint": "https://crm.example:99999/"}, "endpoint"),
        ({"endpoint": "https://10.0.0.1/"}, "endpoint"),
        ({"endpoint": "https://[::ffff:10.0.0.1]/"}, "endpoint"),
        ({"rate_limit": "0"}, "rate_limit"),
        ({"rate_limit": "301"}, "rate_limit"),
        ({"timeout_seconds": "0"}, "timeout_seconds"),
        ({"name": "crm notes"}, "name"),
        ({"name": "crm"}, "name"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_is_wrong_with_a_destination_is_said_at_its_place(olga, crm, fields, field):
    assert wrong(Destination, olga, destination_form(crm.connection, **fields)) == [field]


def test_without_allowed_networks_http_is_refused(console, crm, settings):
    settings.DESTINATIONS_ALLOWED_NETWORKS = []
    form = destination_form(crm.connection, endpoint="http://crm.example/")
    assert list(errors_of(console.post(reverse("admin:ops_destination_add"), form))) == ["endpoint"]


def test_a_change_does_not_touch_how_it_fares(console, crm, server, settings):
    settings.DESTINATIONS_FAILURES = 1
    server.replies = [Reply(500)]
    send(crm)
    form = destination_form(crm.connection, name="crm", endpoint=crm.endpoint)
    assert console.post(reverse("admin:ops_destination_change", args=[crm.pk]), form).status_code == 302
    assert DestinationHealth.objects.get().opened_at


def test_a_test_is_sent_and_its_answer_shown(console, make, server, olga):
    crm = make(endpoint=f"{server.url}/customers/*/notes")
    address = reverse("admin:ops_destination_test_one", args=[crm.pk])
    assert "Path values" in console.get(address).content.decode()
    server.replies = [Reply(201, '{"id": "note_7"}')]
    form = {"body": '{"a": 1}', "paths": "cus 1", "reason": "New credentials."}
    page = console.post(address, form, follow=True)
    (got,) = server.received
    assert (got.path, got.json) == ("/customers/cus%201/notes", {"a": 1})
    text = page.content.decode()
    assert "It was done." in text
    assert "note_7" in text
    assert PASSWORD not in text
    act = StaffAct.objects.get()
    assert (act.act, act.actor, act.reason, act.subject_id) == ("destination:test", olga, "New credentials.", "crm")
    assert DestinationRequest.objects.get().origin == Origin.TEST


def test_a_test_that_fails_says_why(console, crm, server):
    server.replies = [Reply(422, "<b>no</b>")]
    address = reverse("admin:ops_destination_test_one", args=[crm.pk])
    text = console.post(address, {"body": "{}", "reason": "x"}, follow=True).content.decode()
    assert "It was not done. The destination answered 422" in text
    assert "<b>no</b>" not in text
    assert "&lt;b&gt;no&lt;/b&gt;" in text


@pytest.mark.parametrize(
    "form", [{"body": "{}", "paths": "a\nb", "reason": "x"}, {"body": "{}", "paths": "a", "reason": ""}]
)
def test_a_test_is_not_sent_with_other_path_values_or_without_a_reason(console, make, server, form):
    crm = make(endpoint=f"{server.url}/*")
    page = console.post(reverse("admin:ops_destination_test_one", args=[crm.pk]), form)
    assert page.status_code == 200
    assert "field-error" in page.content.decode()
    assert server.received == []


def test_a_destination_that_is_left_alone_says_so_and_a_test_waits(console, crm, server, settings):
    settings.DESTINATIONS_FAILURES = 1
    server.replies = [Reply(500)]
    send(crm)
    page = console.get(reverse("admin:ops_destination_change", args=[crm.pk])).content.decode()
    assert "is left alone since" in page
    assert "Http500" in page
    test = console.post(
        reverse("admin:ops_destination_test_one", args=[crm.pk]), {"body": "{}", "reason": "x"}, follow=True
    )
    assert "Nothing was sent yet." in test.content.decode()
    assert len(server.received) == 1


def test_a_signing_secret_is_shown_once_in_no_cache(console, make):
    crm = make(signed=True)
    address = reverse("admin:ops_destination_roll_secret", args=[crm.pk])
    page = console.post(address, {"reason": "The first one."})
    crm.refresh_from_db()
    secret = unseal(crm.sealed_signing_secret)
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    for later in (address, reverse("admin:ops_destination_change", args=[crm.pk])):
        assert secret not in console.get(later).content.decode()


def test_a_destination_that_is_not_signed_gets_no_secret(console, crm):
    console.post(reverse("admin:ops_destination_roll_secret", args=[crm.pk]), {"reason": "x"})
    crm.refresh_from_db()
    assert crm.sealed_signing_secret == ""


def test_a_request_is_made_once_more_from_its_page(console, crm, server):
    send(crm)
    row = DestinationRequest.objects.get()
    address = reverse("admin:ops_destinationrequest_replay_one", args=[row.pk])
    assert "under the same idempotency key" in console.get(address).content.decode()
    page = console.post(address, {"reason": "They lost it."}, follow=True)
    again = DestinationRequest.objects.latest("pk")
    assert page.redirect_chain[-1][0] == reverse("admin:ops_destinationrequest_change", args=[again.pk])
    assert (again.replay_of, len(server.received)) == (row, 2)
    assert "the request it repeats" in page.content.decode()


def test_the_list_tells_how_many_of_the_latest_were_done_at_a_bounded_number_of_queries(console, db):
    now = timezone.now()
    address = reverse("admin:ops_destination_changelist")

    def queries() -> int:
        from django.db import connection

        with CaptureQueriesContext(connection) as caught:
            page = console.get(address)
        assert page.status_code == 200
        return len(caught)

    make_requests(make_destination("first"), now=now)
    few = queries()
    for number in range(20):
        make_destination(f"other-{number}")
    assert queries() <= few
    text = console.get(address).content.decode()
    assert "80 %" in text
    assert "Never called" in text


def test_the_page_s_day_counts_its_own_requests_hour_by_hour(console, db):
    now = timezone.now()
    crm = make_destination()
    make_requests(crm, now=now)
    make_requests(make_destination("other"), now=now)
    page = console.get(reverse("admin:ops_destination_change", args=[crm.pk]))
    hours = page.context["hours"]
    assert len(hours) == 24
    expected = DestinationRequest.objects.filter(
        destination=crm, at__gt=page.context["now"] - timedelta(hours=24)
    ).count()
    assert page.context["total"] == expected == 40


def test_requests_are_found_by_key_and_outcome(console, db):
    make_requests(make_destination(), now=timezone.now())
    address = reverse("admin:ops_destinationrequest_changelist")

    def found(**query: Any) -> int:
        return len(console.get(address, query).context["cl"].result_list)

    assert found(q="big-invoices:evt_1Test00000003:crm-notes") == 1
    assert found(q="crm-notes") == 40
    assert found(q="nothing") == 0
    assert found(came__exact="refused") == 3


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_pages_speak_the_operator_s_language(console, olga, make, server, language):
    olga.language = language
    olga.save()
    crm = make(signed=True)
    send(crm)
    for name, pk in (("destination", crm.pk), ("connection", crm.connection_id)):
        text = console.get(reverse(f"admin:ops_{name}_change", args=[pk])).content.decode()
        assert ("どこを呼び出すか" in text or "呼び出すのは誰か" in text) == (language == "ja")


def test_a_secret_parameter_made_clear_asks_for_its_value(console, crm):
    row = ConnectionParameter.objects.create(
        connection=crm.connection, place="header", name="X-T", secret=True, sealed_value=crm.connection.sealed_secret
    )
    form = connection_form(
        name=crm.connection.name, authorization=Authorization.BASIC, identity="kessai", secret="",
        **{"parameters-TOTAL_FORMS": "1", "parameters-INITIAL_FORMS": "1"},
        **parameter(0, id=row.pk, connection=crm.connection_id, name="X-T", value=""),
    )  # fmt: skip
    page = console.post(reverse("admin:ops_connection_change", args=[crm.connection_id]), form)
    assert page.status_code == 200
    row.refresh_from_db()
    assert row.value == ""
    assert row.sealed_value
