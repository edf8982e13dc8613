"""The billing portal's sessions and pages, without a browser."""

from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.shop import ASKS, DECLINED, GOOD, answer_the_bank, checkout, customer, fill_in, subscribed, types

BACK = "http://shop.example/account"


def opened(v1: Any, owner: str, **params: Any) -> Any:
    return v1.billing_portal.sessions.create({"customer": owner, "return_url": BACK, **params})


def seen(address: str) -> httpx.Response:
    return httpx.get(address, trust_env=False)


def do(address: str, **form: str) -> httpx.Response:
    return httpx.post(address, data=form, trust_env=False)


def card_flow(after_completion: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "payment_method_update",
        **({"after_completion": after_completion} if after_completion else {}),
    }


def test_the_page_shows_subscription_cards_and_invoices(v1: Any) -> None:
    subscription = subscribed(v1)
    session = opened(v1, subscription.customer)
    page = seen(session.url).text
    for words in ("Pro", "¥3,000", "Renews on", "4242", "Default", "-0001", BACK):
        assert words in page
    assert types(v1)[-1] == "billing_portal.session.created"


def test_a_new_card_becomes_the_one_that_everything_is_paid_with(v1: Any) -> None:
    session = checkout(v1, customer=customer(v1, None))
    fill_in(session.url, GOOD)
    before = v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]}).subscription
    answer = fill_in(opened(v1, session.customer).url + "/card", "5555555555554444")
    assert answer.status_code == 303
    card = v1.customers.retrieve(session.customer).invoice_settings.default_payment_method
    assert v1.payment_methods.retrieve(card).card.brand == "mastercard"
    assert v1.subscriptions.retrieve(before.id).default_payment_method == card != before.default_payment_method
    told = types(v1)
    for type in ("setup_intent.succeeded", "payment_method.attached", "customer.updated"):
        assert type in told
    assert told[-1] == "customer.subscription.updated"


def test_a_declined_card_is_not_kept(v1: Any) -> None:
    owner = customer(v1)
    page = fill_in(opened(v1, owner).url + "/card", DECLINED)
    assert page.status_code == 422
    assert "Your card was declined." in page.text
    assert len(v1.payment_methods.list({"customer": owner}).data) == 1


def test_a_card_with_a_challenge_is_kept_when_it_is_passed(v1: Any) -> None:
    owner = customer(v1, None)
    session = opened(v1, owner)
    asked = fill_in(session.url + "/card", ASKS)
    assert v1.payment_methods.list({"customer": owner}).data == []
    answer_the_bank(asked, "complete")
    [card] = v1.payment_methods.list({"customer": owner}).data
    assert v1.customers.retrieve(owner).invoice_settings.default_payment_method == card.id


def test_a_challenge_that_fails_says_so(v1: Any) -> None:
    owner = customer(v1, None)
    page = answer_the_bank(fill_in(opened(v1, owner).url + "/card", ASKS), "fail")
    assert "We are unable to authenticate your payment method." in page.text


def test_the_card_flow_shows_the_form_and_goes_where_it_was_told(v1: Any) -> None:
    there = {"type": "redirect", "redirect": {"return_url": "http://shop.example/saved"}}
    session = opened(v1, customer(v1), flow_data=card_flow(there))
    assert 'name="number"' in seen(session.url).text
    assert fill_in(session.url + "/card", GOOD).headers["location"] == "http://shop.example/saved"


def test_the_card_flow_may_end_with_a_confirmation(v1: Any) -> None:
    message = {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "Thank you, Alice."}}
    session = opened(v1, customer(v1), flow_data=card_flow(message))
    assert "Thank you, Alice." in fill_in(session.url + "/card", GOOD).text


def test_cards_are_made_default_and_removed_but_never_the_one_in_use(v1: Any) -> None:
    subscription = subscribed(v1)
    owner = subscription.customer
    spare = v1.payment_methods.attach("pm_card_mastercard", {"customer": owner})
    used = v1.customers.retrieve(owner).invoice_settings.default_payment_method
    address = opened(v1, owner).url
    do(f"{address}/card/{used}", act="remove")
    assert len(v1.payment_methods.list({"customer": owner}).data) == 2
    do(f"{address}/card/{spare.id}", act="default")
    assert v1.customers.retrieve(owner).invoice_settings.default_payment_method == spare.id
    do(f"{address}/card/{used}", act="remove")
    assert [card.id for card in v1.payment_methods.list({"customer": owner}).data] == [spare.id]


def test_canceling_at_period_end_and_coming_back(v1: Any) -> None:
    subscription = subscribed(v1)
    address = opened(v1, subscription.customer).url
    assert "You can use it until" in seen(f"{address}/cancel/{subscription.id}").text
    for _ in range(2):
        do(f"{address}/cancel/{subscription.id}")
    leaving = v1.subscriptions.retrieve(subscription.id)
    assert (leaving.status, leaving.cancel_at_period_end) == ("active", True)
    assert types(v1).count("customer.subscription.updated") == 1
    assert "Ends on" in seen(address).text
    do(f"{address}/resume/{subscription.id}")
    assert v1.subscriptions.retrieve(subscription.id).cancel_at is None


def test_canceling_now_where_the_configuration_says_so(v1: Any) -> None:
    features = {"subscription_cancel": {"enabled": True, "mode": "immediately"}, "invoice_history": {"enabled": False}}
    configuration = v1.billing_portal.configurations.create({"features": features})
    subscription = subscribed(v1)
    session = opened(v1, subscription.customer, configuration=configuration.id)
    assert "Invoices" not in seen(session.url).text
    do(f"{session.url}/cancel/{subscription.id}")
    assert v1.subscriptions.retrieve(subscription.id).status == "canceled"


def test_the_cancel_flow_opens_where_it_is_needed(v1: Any) -> None:
    subscription = subscribed(v1)
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": subscription.id}}
    session = opened(v1, subscription.customer, flow_data=flow)
    assert "Cancel the subscription" in seen(session.url).text
    do(f"{session.url}/cancel/{subscription.id}")
    with pytest.raises(stripe.InvalidRequestError, match="already set to be canceled"):
        opened(v1, subscription.customer, flow_data=flow)


def test_a_customer_changes_name_and_address_for_mail(v1: Any) -> None:
    owner = customer(v1, name="Alice")
    session = opened(v1, owner)
    refused = do(f"{session.url}/details", name="Alice & Co", email="nonsense")
    assert "Your email is incomplete." in refused.text
    assert 'value="Alice &amp; Co"' in refused.text
    do(f"{session.url}/details", name="Alice & Co", email="billing@example.com")
    changed = v1.customers.retrieve(owner)
    assert (changed.name, changed.email) == ("Alice & Co", "billing@example.com")
    [told, *_] = v1.events.list({"type": "customer.updated"}).data
    assert told.data.previous_attributes.to_dict() == {"email": "alice@example.com", "name": "Alice"}


def test_only_what_the_configuration_allows_is_changed(v1: Any) -> None:
    features = {"customer_update": {"enabled": True, "allowed_updates": ["name"]}, "invoice_history": {"enabled": True}}
    configuration = v1.billing_portal.configurations.create({"features": features})
    owner = customer(v1)
    session = opened(v1, owner, configuration=configuration.id)
    do(f"{session.url}/details", name="Alice", email="other@example.com")
    assert v1.customers.retrieve(owner).email == "alice@example.com"
    closed = v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    session = opened(v1, owner, configuration=closed.id)
    assert do(f"{session.url}/details", name="Eve").status_code == 404


def test_one_customer_cannot_touch_anothers_subscription_or_card(v1: Any) -> None:
    theirs, mine = subscribed(v1), customer(v1)
    card = v1.customers.retrieve(theirs.customer).invoice_settings.default_payment_method
    address = opened(v1, mine).url
    assert seen(f"{address}/cancel/{theirs.id}").status_code == 404
    assert do(f"{address}/cancel/{theirs.id}").status_code == 404
    assert do(f"{address}/resume/{theirs.id}").status_code == 404
    assert do(f"{address}/card/{card}", act="remove").status_code == 404
    assert v1.subscriptions.retrieve(theirs.id).cancel_at is None


@pytest.mark.parametrize("token", ["test_", "test_????", "test_YWJj", "nonsense"])
def test_an_address_that_is_wrong_is_a_404(v1: Any, token: str) -> None:
    address = opened(v1, customer(v1)).url.rsplit("/", 1)[0]
    assert seen(f"{address}/{token}").status_code == 404


def test_the_default_configuration_is_made_once(v1: Any) -> None:
    owner = customer(v1)
    assert opened(v1, owner).configuration == opened(v1, owner).configuration
    [default] = v1.billing_portal.configurations.list({"is_default": True}).data
    assert default.features.subscription_cancel.mode == "at_period_end"
    changed = v1.billing_portal.configurations.update(default.id, {"name": "Ours"})
    assert (changed.name, v1.billing_portal.configurations.retrieve(default.id).name) == ("Ours", "Ours")


def test_a_session_needs_a_customer_that_exists(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_x'"):
        opened(v1, "cus_x")
