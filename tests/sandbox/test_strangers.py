"""What other clients than ours send: browsers' questions, betas, bodies that are no text, search."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.running import RunningSandbox, new_key
from tests.sandbox.shop import checkout, customer, plan, subscribed, types


@pytest.fixture
def http(running: RunningSandbox) -> Iterator[httpx.Client]:
    with running.http(new_key()) as client:
        yield client


def test_head_is_answered_as_get_without_the_body(http: httpx.Client) -> None:
    answer = http.head("/v1/customers")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Request-Id"].startswith("req_")
    assert http.head("/v1/unicorns").status_code == 404


def test_a_script_on_another_page_may_call(http: httpx.Client) -> None:
    asked = {
        "Origin": "http://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,stripe-version",
    }
    answer = http.options("/v1/payment_methods", headers=asked)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,stripe-version"
    assert http.get("/v1/customers", headers={"Origin": "http://shop.example"}).headers[
        "Access-Control-Allow-Origin"
    ] == ("*")


@pytest.mark.parametrize(
    "version",
    [
        "2020-08-27",  # a date alone, until 2024
        "2026-08-26.dahlia",
        "2026-08-26.preview",
        "2026-08-26.dahlia; custom_checkout_beta=v1;other_beta=v2",  # as the libraries add betas
    ],
)
def test_versions_with_betas_are_taken(http: httpx.Client, version: str) -> None:
    answer = http.get("/v1/customers", headers={"Stripe-Version": version})
    assert (answer.status_code, answer.headers["Stripe-Version"]) == (200, version)


def test_a_body_that_is_not_utf8_is_refused_and_nothing_is_made(http: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = http.post("/v1/customers", content=b"name=\xff\xfe", headers=form)
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["error"]["message"]
    assert http.get("/v1/customers").json()["data"] == []


def test_an_address_that_is_no_email_is_refused(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.customers.create({"email": "alice"})
    assert (caught.value.code, caught.value.param) == ("email_invalid", "email")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("items.data.price.product", True),
        # a list's `data` counts as a level, as in Stripe's own limit
        ("latest_invoice.payments.data.payment.payment_intent", False),
    ],
)
def test_a_path_has_four_levels_at_most(v1: Any, path: str, allowed: bool) -> None:
    subscription = subscribed(v1)
    if allowed:
        shown = v1.subscriptions.retrieve(subscription.id, {"expand": [path]})
        assert shown["items"].data[0].price.product.name == "Pro"
    else:
        with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
            v1.subscriptions.retrieve(subscription.id, {"expand": [path]})


def test_a_refund_that_changes_is_told_of_under_both_names(v1: Any) -> None:
    intent = v1.payment_intents.create(
        {"amount": 500, "currency": "jpy", "payment_method": "pm_card_visa", "confirm": True,
         "payment_method_types": ["card"]}
    )  # fmt: skip
    refund = v1.refunds.create({"payment_intent": intent.id})
    v1.refunds.update(refund.id, {"metadata": {"order": "7"}})
    assert {"refund.updated", "charge.refund.updated"} <= set(types(v1))


@pytest.fixture
def people(v1: Any) -> Any:
    """Alice, Bob and Charlie; Charlie has no metadata."""
    for name, plan_name in (("Alice", "pro"), ("Bob", "free"), ("Charlie", None)):
        given = {"name": f"{name} O'Hara", "email": f"{name.lower()}@example.com"}
        v1.customers.create(given | ({"metadata": {"plan": plan_name}} if plan_name else {}))
    return v1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("email:'alice@example.com'", {"Alice"}),
        ('email:"ALICE@example.com"', {"Alice"}),  # upper and lower case are the same
        ("name~'lie'", {"Charlie"}),
        ("name:'Bob O\\'Hara'", {"Bob"}),
        ("metadata['plan']:'pro'", {"Alice"}),
        ('-metadata["plan"]:null', {"Alice", "Bob"}),
        ("metadata['plan']:null", {"Charlie"}),
        ("metadata['plan']:'pro' OR email:'bob@example.com'", {"Alice", "Bob"}),
        ("email~'example' AND -metadata['plan']:'pro'", {"Bob", "Charlie"}),
        ("created>0 AND created<1", set()),
        ("created>=1", {"Alice", "Bob", "Charlie"}),
        ("email:'nobody@example.com'", set()),
        ("-email:'alice@example.com'", {"Bob", "Charlie"}),
        ("phone:null AND -name~'charlie'", {"Alice", "Bob"}),
        ("metadata['no \"such\" key']:null", {"Alice", "Bob", "Charlie"}),
    ],
)
def test_customers_are_found_by_stripes_search_language(people: Any, query: str, found: set[str]) -> None:
    assert {one.name.split()[0] for one in people.customers.search({"query": query}).data} == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "empty string"),
        ("alice", "unable to parse"),
        ("email:'a' AND", "ends where"),
        ("email:'a' AND name:'b' OR name:'c'", "combine AND and OR"),
        ("unicorn:'a'", "Field `unicorn` is an unsupported search field for resource `customers`"),
        ("metadata:'a'", "Field `metadata` is an unsupported"),
        ("name~'ab'", "at least 3 characters"),
        ("created>'soon'", "only be used with a number"),
    ],
)
def test_what_is_no_query_is_refused(v1: Any, query: str, message: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message) as caught:
        v1.customers.search({"query": query})
    assert caught.value.param == "query"


def test_search_goes_on_page_by_page_and_expands(v1: Any) -> None:
    for number in range(5):
        v1.products.create({"name": f"Plan {number}", "default_price_data": {"currency": "jpy", "unit_amount": number}})
    pages = v1.products.search({"query": "name~'Plan'", "limit": 2, "expand": ["data.default_price"]})
    assert pages.has_more is True
    amounts = [product.default_price.unit_amount for product in pages.auto_paging_iter()]
    assert amounts == [4, 3, 2, 1, 0]


def test_what_money_did_is_found(v1: Any) -> None:
    owner = customer(v1)
    subscription = v1.subscriptions.create(
        {"customer": owner, "items": [{"price": plan(v1, 3000)}], "metadata": {"order": "7"}}
    )
    [invoice] = v1.invoices.search({"query": f"subscription:'{subscription.id}' AND total>=3000"}).data
    [intent] = v1.payment_intents.search({"query": f"customer:'{owner}' AND status:'succeeded'"}).data
    [charge] = v1.charges.search({"query": "amount:3000 AND payment_method_details.card.last4:4242"}).data
    [found] = v1.subscriptions.search({"query": "metadata['order']:'7' AND status:'active'"}).data
    assert (invoice.customer, intent.latest_charge, found.id) == (owner, charge.id, subscription.id)


def test_search_compares_letters_of_all_alphabets_truths_and_numbers(v1: Any) -> None:
    v1.products.create({"name": "ÄRGERLICH", "active": False})
    v1.products.create({"name": "Ruhig", "metadata": {"größe": "12"}})
    found = {
        query: [one.name for one in v1.products.search({"query": query}).data]
        for query in ("name:'ärgerlich'", "active:'true'", "-active:'true'", "metadata['größe']:'12'", "shippable:null")
    }
    assert found == {
        "name:'ärgerlich'": ["ÄRGERLICH"],
        "active:'true'": ["Ruhig"],
        "-active:'true'": ["ÄRGERLICH"],
        "metadata['größe']:'12'": ["Ruhig"],
        "shippable:null": ["Ruhig", "ÄRGERLICH"],
    }
    assert v1.products.search({"query": "-name:'x'", "limit": 1, "expand": ["total_count"]}).total_count == 2


@pytest.mark.parametrize("url", ["/thanks", "shop.example/thanks", "https://shop.example/a b"])
def test_an_address_without_scheme_is_refused(v1: Any, url: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.checkout.sessions.create({"mode": "setup", "currency": "jpy", "success_url": url})
    assert (caught.value.code, caught.value.param) == ("url_invalid", "success_url")


def test_metadata_that_grows_beyond_fifty_keys_is_refused(v1: Any) -> None:
    made = v1.customers.create({"metadata": {str(number): "x" for number in range(50)}})
    with pytest.raises(stripe.InvalidRequestError, match="up to 50 keys"):
        v1.customers.update(made.id, {"metadata": {"one more": "x"}})
    swapped = v1.customers.update(made.id, {"metadata": {"one more": "x", "0": ""}})
    assert len(swapped.metadata.to_dict()) == 50


def test_a_way_to_pay_that_is_not_built_is_refused(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="payment method type provided: klarna is invalid"):
        v1.payment_intents.create({"amount": 5000, "currency": "jpy", "payment_method_types": ["card", "klarna"]})


def test_an_account_has_no_accounts_connected_to_it(v1: Any) -> None:
    """Tools that copy everything ask for them first."""
    assert v1.accounts.list().data == []


def test_what_an_expanded_list_points_to_can_be_listed(v1: Any) -> None:
    made = v1.customers.create({"expand": ["sources", "tax_ids"]})
    assert made.sources.url == f"/v1/customers/{made.id}/sources"
    assert v1.customers.payment_sources.list(made.id).data == []
    assert v1.customers.tax_ids.list(made.id).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        v1.customers.payment_sources.list("cus_none")


def test_discounts_of_line_items_are_expanded_in_lists_of_sessions(v1: Any) -> None:
    made = checkout(v1)
    [session] = v1.checkout.sessions.list({"expand": ["data.line_items.data.discounts"]}).data
    assert (session.id, session.line_items.data[0].discounts) == (made.id, [])


@pytest.mark.parametrize("path", ["default_source", "on_behalf_of", "application", "schedule", "test_clock"])
def test_what_stripe_can_expand_and_is_empty_stays_empty(v1: Any, path: str) -> None:
    subscription = v1.subscriptions.retrieve(subscribed(v1).id, {"expand": [path]})
    assert subscription.to_dict()[path] is None


def test_the_breakdown_of_a_session_is_expanded(v1: Any) -> None:
    session = v1.checkout.sessions.retrieve(checkout(v1).id, {"expand": ["total_details.breakdown"]})
    assert session.total_details.breakdown.to_dict() == {"discounts": [], "taxes": []}


def test_a_first_invoice_takes_a_price_made_in_passing(v1: Any) -> None:
    product = v1.products.create({"name": "Set-up"})
    once = {"price_data": {"currency": "jpy", "product": product.id, "unit_amount": 700}, "quantity": 2}
    subscription = subscribed(v1, plan(v1, 3000), add_invoice_items=[once], expand=["latest_invoice"])
    assert (subscription.latest_invoice.status, subscription.latest_invoice.amount_paid) == ("paid", 4400)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        subscribed(v1, add_invoice_items=[{"quantity": 1}])
    assert caught.value.param == "add_invoice_items[0][price]"


def test_the_location_and_the_credit_of_a_customer_are_shown_when_asked_for(v1: Any) -> None:
    owner = customer(v1)
    asked = {"expand": ["tax", "invoice_credit_balance"]}
    shown = v1.customers.retrieve(owner, asked)
    assert (shown.tax.automatic_tax, shown.invoice_credit_balance.to_dict()) == ("unrecognized_location", {})
    v1.customers.balance_transactions.create(owner, {"amount": -500, "currency": "usd"})
    assert v1.customers.retrieve(owner, asked).invoice_credit_balance.to_dict() == {"usd": 500}
    assert "tax" not in v1.customers.retrieve(owner)


def test_an_address_to_ship_to_is_shown_with_all_its_fields(v1: Any) -> None:
    to = {"name": "Alice", "address": {"line1": "1 Lane", "city": "Kyoto"}}
    shown = v1.payment_intents.create({"amount": 500, "currency": "usd", "shipping": to}).shipping
    assert (shown.address.city, shown.address.country, shown.carrier, shown.phone) == ("Kyoto", None, None, None)


def test_the_subscriptions_in_a_customer_go_on_at_their_address(v1: Any) -> None:
    owner, price = customer(v1), plan(v1)
    for _ in range(12):
        v1.subscriptions.create({"customer": owner, "items": [{"price": price}]})
    held = v1.customers.retrieve(owner, {"expand": ["subscriptions"]}).subscriptions
    assert (len(held.data), held.url) == (10, f"/v1/customers/{owner}/subscriptions")
    assert len(list(held.auto_paging_iter())) == 12


def test_a_quantity_beside_the_items_is_that_of_the_only_item(v1: Any) -> None:
    owner = customer(v1, "pm_card_visa")
    made = v1.subscriptions.create({"customer": owner, "items": [{"price": plan(v1)}]})
    assert v1.subscriptions.update(made.id, {"quantity": 4})["items"].data[0].quantity == 4
    two = {"customer": owner, "items": [{"price": plan(v1)}, {"price": plan(v1)}]}
    with pytest.raises(stripe.InvalidRequestError, match="several items"):
        v1.subscriptions.update(v1.subscriptions.create(two).id, {"quantity": 4})


@pytest.mark.parametrize("path", ["data.automatic_tax.liability.account", "data.shipping_cost.shipping_rate"])
def test_what_leads_to_nothing_that_is_built_may_be_expanded(v1: Any, path: str) -> None:
    v1.invoices.create({"customer": customer(v1)})
    assert len(v1.invoices.list({"expand": [path]}).data) == 1
