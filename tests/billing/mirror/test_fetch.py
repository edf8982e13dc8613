"""Asking Stripe: what comes back, from when it is, and what happens when Stripe does not answer as hoped."""

import math
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest
import stripe as stripe_library

from billing import stripe_budget, stripe_reading
from billing.mirror.fetch import CannotBeAsked, Fetched, complete, fetch, fetch_many, list_pages
from billing.mirror.gate import FAR
from billing.mirror.kinds import Ref, kind_for
from billing.stripe_client import CallInsideTransaction, no_calls
from billing.stripe_reading import Answer


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(stripe_reading, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(stripe_budget, "FIRST_REST", 0.02)


def product_refs(stripe, count: int) -> list[Ref]:
    return [Ref("product", stripe.v1.products.create({"name": f"Plan {number}"}).id) for number in range(count)]


def test_a_fetched_object_says_from_when_it_is(stripe):
    product = stripe.v1.products.create({"name": "Pro"})
    before, began = int(time.time()), time.monotonic()
    fetched = fetch(Ref("product", product.id))
    took = math.ceil(time.monotonic() - began)
    assert fetched.data["name"] == "Pro"
    assert before - took - 1 <= fetched.low < fetched.high <= time.time()
    assert fetched.high - fetched.low >= 2  # the part of a second that Date leaves out, and the way


def test_an_answer_without_a_date_is_of_an_unknown_age():
    assert stripe_reading.stamp_of({}, 0.1) == (0, FAR)
    assert stripe_reading.stamp_of({"Date": "yesterday"}, 0.1) == (0, FAR)


def test_an_answer_is_dated_from_before_the_question(stripe):
    date = "Sun, 01 Feb 2026 12:00:10 GMT"
    high = int(parsedate_to_datetime(date).timestamp())
    assert stripe_reading.stamp_of({"Date": date}, 2.1) == (high - 4, high)


def test_answers_are_dated_in_the_time_of_the_sandbox(stripe, sandbox):
    """Stripe's clock is the one that counts: the sandbox's may be another one than this machine's."""
    refs = product_refs(stripe, 1)
    with httpx.Client(base_url=sandbox, trust_env=False) as http:
        there = http.get("/_sandbox/health").json()["now"]
    assert abs(fetch(refs[0]).high - there) <= 2


def test_what_stripe_has_no_more_is_gone_and_says_since_when(stripe):
    product = stripe.v1.products.create({"name": "Pro"})
    stripe.v1.products.delete(product.id)
    customer = stripe.v1.customers.create({})
    stripe.v1.customers.delete(customer.id)
    for ref in (Ref("product", product.id), Ref("customer", customer.id), Ref("product", "prod_unknown")):
        fetched = fetch(ref)
        assert fetched.data is None
        assert 0 < fetched.low < fetched.high < FAR


def test_an_unknown_address_is_an_error_and_not_a_deleted_object(stripe, monkeypatch):
    from dataclasses import replace

    from billing.mirror import fetch as module
    from billing.mirror.kinds import KINDS

    monkeypatch.setattr(module, "kind_for", lambda name: replace(KINDS[name], path="/v1/no_such_things"))
    with pytest.raises(stripe_library.InvalidRequestError):
        fetch(Ref("product", "prod_1"))


def test_a_list_that_was_cut_short_is_read_to_its_end(stripe, monkeypatch):
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    customer = stripe.v1.customers.create({})
    for number in range(14):
        stripe.v1.invoice_items.create({"customer": customer.id, "amount": 100 + number, "currency": "jpy"})
    invoice = stripe.v1.invoices.create(
        {"customer": customer.id, "currency": "jpy", "pending_invoice_items_behavior": "include"}
    )
    raw = stripe.raw_request("get", f"/v1/invoices/{invoice.id}").data
    assert raw["lines"]["has_more"]
    lines = fetch(Ref("invoice", invoice.id)).data["lines"]
    assert sorted(line["amount"] for line in lines["data"]) == [100 + number for number in range(14)]
    assert not lines["has_more"]


def test_what_lives_by_a_test_clock_can_be_compared_with_no_time(stripe):
    clock = stripe.v1.test_helpers.test_clocks.create({"frozen_time": 1_700_000_000})
    customer = stripe.v1.customers.create({"test_clock": clock.id})
    fetched = fetch(Ref("customer", customer.id))
    assert (fetched.low, fetched.high) == (0, FAR)


def test_many_are_fetched_each_with_its_own_answer(stripe):
    refs = product_refs(stripe, 20)
    unknown, unaskable = Ref("product", "prod_unknown"), Ref("line_item", "il_1")
    answers = fetch_many([*refs, unknown, unaskable, refs[0]])
    assert [answers[ref].data["name"] for ref in refs] == [f"Plan {number}" for number in range(20)]
    assert answers[unknown].data is None
    assert isinstance(answers[unaskable], CannotBeAsked)


@pytest.mark.parametrize("effect", ["server_error", "rate_limit"])
def test_trouble_that_passes_is_not_noticed(stripe, fault, effect):
    refs = product_refs(stripe, 12)
    fault(effect, rate=0.3, seed=4, path="/v1/products/*", method="GET")
    answers = fetch_many(refs)
    assert all(isinstance(answer, Fetched) for answer in answers.values()), answers


def test_one_object_that_stripe_cannot_give_spoils_no_other(stripe, fault):
    refs = product_refs(stripe, 12)
    fault("server_error", path=f"/v1/products/{refs[5].id}")
    answers = fetch_many(refs)
    assert isinstance(answers.pop(refs[5]), stripe_library.APIError)
    assert all(isinstance(answer, Fetched) for answer in answers.values())


def test_when_stripe_is_away_the_rest_is_not_asked_for(stripe, fault, asked, settings):
    settings.STRIPE_CALLS_AT_ONCE = 2
    refs = product_refs(stripe, 40)
    fault("server_error")
    asked.clear()
    answers = fetch_many(refs)
    assert len(answers) == 40
    assert all(isinstance(answer, stripe_library.APIError) for answer in answers.values())
    assert len(asked) < 20


def test_silence_is_an_error_of_the_connection(stripe, fault, settings, monkeypatch):
    from billing import stripe_client

    refs = product_refs(stripe, 1)
    monkeypatch.setattr(stripe_reading, "stripe_http", lambda account: stripe_client.new_http())
    settings.STRIPE_TIMEOUT_SECONDS = 2.0
    fault("timeout", seconds=5, count=1)
    assert isinstance(fetch(refs[0]), Fetched)  # the second try had its answer
    settings.STRIPE_TIMEOUT_SECONDS = 0.2
    fault("timeout", seconds=1, count=10)
    with pytest.raises(stripe_library.APIConnectionError):
        fetch(refs[0])


def test_a_refused_key_is_told_apart(stripe, use_key):
    use_key("nonsense_key")
    answers = fetch_many([Ref("product", f"prod_{number}") for number in range(5)])
    assert all(isinstance(answer, stripe_library.AuthenticationError) for answer in answers.values())
    assert "nonsense_key" not in str(next(iter(answers.values())))


def test_an_answer_that_breaks_off_is_asked_for_again(stripe, monkeypatch):
    from billing.stripe_client import StripeHTTP

    refs, request, broken = product_refs(stripe, 1), StripeHTTP.request, [1]

    def breaking(self, *args, **more):
        body, status, headers = request(self, *args, **more)
        return (body[:-9] if broken and broken.pop() else body), status, headers

    monkeypatch.setattr(StripeHTTP, "request", breaking)
    assert fetch(refs[0]).data["name"] == "Plan 0"


def test_nothing_is_asked_where_calls_are_refused(stripe, asked):
    refs = [Ref("product", "prod_1"), Ref("product", "prod_2")]
    with no_calls():
        with pytest.raises(CallInsideTransaction):
            fetch_many(refs)
        with pytest.raises(CallInsideTransaction):
            fetch(refs[0])
    assert asked == []


def test_a_list_is_read_page_by_page_and_each_says_from_when_it_is(stripe, monkeypatch):
    monkeypatch.setattr("billing.mirror.fetch.PAGE", 3)
    refs = product_refs(stripe, 7)
    pages = list(list_pages("/v1/products", {}))
    assert [len(page.objects) for page in pages] == [3, 3, 1]
    assert {data["id"] for page in pages for data in page.objects} == {ref.id for ref in refs}
    assert all(0 < page.low < page.high < FAR for page in pages)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({}, ""),
        ({"limit": 3, "after": None}, "?limit=3"),
        ({"created": {"gte": 1, "lt": 2}}, "?created%5Bgte%5D=1&created%5Blt%5D=2"),
        ({"expand": ["data.tiers", "data.x"]}, "?expand%5B%5D=data.tiers&expand%5B%5D=data.x"),
        ({"active": True, "expand": ()}, "?active=true"),
    ],
)
def test_parameters_are_spelled_as_stripe_reads_them(params, query):
    assert stripe_reading.query_of(params) == query


@pytest.mark.parametrize("rows", [None, [], ["si_1"], [{}], [{"id": 7}]], ids=repr)
def test_a_list_that_does_not_say_after_what_it_goes_on_is_left_as_it_is(rows):
    data = {"items": {"object": "list", "data": rows, "has_more": True, "url": "/v1/subscription_items"}}
    assert complete(kind_for("subscription"), Answer(data, 1, 2)).data == data
