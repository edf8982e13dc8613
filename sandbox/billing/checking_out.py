"""What a checkout session does when its customer pays, fails, proves who they are, or stays away.

`pay` is called by the hosted page and may be called any number of times: the session's row says how far it came, and
the store has one writer, so a second click finds the first one's work. Nothing is charged twice: a session has one
payment intent. Source: Stripe docs, "How Checkout works", "Fulfill orders".
"""

from dataclasses import dataclass
from typing import Any

from sandbox import jobs, objects
from sandbox.billing import checkout_sums, collection, delayed, lifecycle, subscribing  # noqa: F401 (delayed listens)
from sandbox.context import Context
from sandbox.kinds import Doc
from sandbox.resources import method_options, payments, setup_intents
from sandbox.resources.customers import create_customer


@dataclass(frozen=True)
class Result:
    """Either a place to go (`redirect`), or what the bank or the form check says (`error`, at which `field`)."""

    session: Doc
    redirect: str | None = None
    error: str | None = None
    field: str | None = None


def due_now(ctx: Context, lines: list[Doc], params: dict[str, Any]) -> int:
    """What the first payment will be: nothing of the recurring prices while a trial runs."""
    data = params.get("subscription_data") or {}
    trial = checkout_sums.has_trial(data)
    return sum(line["amount_total"] for line in lines if not (trial and line["price"]["type"] == "recurring"))


def known_details(ctx: Context, customer: str | None, email: str | None) -> Doc | None:
    """`customer_details` before anybody has typed anything."""
    doc = objects.find(ctx, "customer", customer)
    if doc is None and email is None:
        return None
    return _details(doc["email"] if doc else email, doc["name"] if doc else None, (doc or {}).get("address"))


def _details(email: str | None, name: str | None, address: Doc | None) -> Doc:
    return {
        "address": address,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def success_address(session: Doc) -> str:
    url: str = session["success_url"]
    for placeholder in ("{CHECKOUT_SESSION_ID}", "%7BCHECKOUT_SESSION_ID%7D"):
        url = url.replace(placeholder, session["id"])
    return url


def pay(ctx: Context, session: Doc, payment_method: Doc, *, email: str, name: str) -> Result:
    """One click on the button with this card; what was typed besides."""
    if session["status"] != "open":
        return come_back(ctx, session)
    if not session.get("_subscription"):
        checkout_sums.check_again(ctx, session)
    session = objects.update(ctx, session, {"_given": {"email": email, "name": name}})
    if session["mode"] == "payment":
        return _pay_once(ctx, session, payment_method)
    if session["mode"] == "setup" or session["amount_total"] == 0:
        return _set_up(ctx, session, payment_method)
    return _subscribe(ctx, session, payment_method)


def needs_nothing(session: Doc) -> bool:
    """Whether this session is complete without any way to pay: nothing is due, and none is kept for later. Source:
    Stripe docs, "No-cost orders", "Free trials without collecting payment details" (payment_method_collection)."""
    keeps = session["mode"] == "subscription" and session["payment_method_collection"] == "always"
    return session["mode"] != "setup" and session["amount_total"] == 0 and not keeps


def complete_free(ctx: Context, session: Doc, *, email: str, name: str) -> Result:
    """One click on the button where nothing is to be paid."""
    if session["status"] != "open":
        return come_back(ctx, session)
    checkout_sums.check_again(ctx, session)
    session = objects.update(ctx, session, {"_given": {"email": email, "name": name}})
    if session["mode"] == "subscription":
        session = _begin(ctx, session)
        found = {
            "customer": session["_customer"], "invoice": session["_invoice"], "subscription": session["_subscription"],
        }  # fmt: skip
    else:
        wants_customer = session["customer"] or session["customer_creation"] == "always"
        found = {"customer": _customer(ctx, session)["id"] if wants_customer else None}
        checkout_sums.redeemed(ctx, session)
    done = _complete(ctx, session, found)
    return Result(done, success_address(done))


def _customer(ctx: Context, session: Doc) -> Doc:
    """The session's customer, made when there is none."""
    if session["customer"]:
        return objects.load(ctx, "customer", session["customer"])
    given = session["_given"]
    email = session["customer_email"] or given["email"]
    wanted = {"email": email, "name": given["name"]}
    made: Doc = create_customer(ctx, {name: value for name, value in wanted.items() if value})
    return made


def return_address(ctx: Context, session: Doc) -> str:
    return f"{ctx.base_url}/c/pay/{session['id']}/return"


def _pay_once(ctx: Context, session: Doc, payment_method: Doc) -> Result:
    """Mode payment: one intent for the session, tried with each card."""
    data = session["_data"]
    if session["payment_intent"] is None:
        session = _open_intent(ctx, session, data)
    intent = objects.load(ctx, "payment_intent", session["payment_intent"])
    intent = payments.confirm(ctx, intent, payment_method, off_session=False, return_url=return_address(ctx, session))
    return _after_intent(ctx, session, intent)


def _open_intent(ctx: Context, session: Doc, data: Doc) -> Doc:
    wants_customer = session["customer_creation"] == "always" or data.get("setup_future_usage")
    if session["customer"] is None and wants_customer:
        session = objects.update(ctx, session, {"customer": _customer(ctx, session)["id"]})
    names = ("capture_method", "description", "metadata", "receipt_email", "setup_future_usage",
             "statement_descriptor", "statement_descriptor_suffix", "transfer_group")  # fmt: skip
    intent = payments.new_intent(
        ctx,
        {name: data[name] for name in names if name in data}
        | {
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            "payment_method_options": method_options.said(
                method_options.defaults(session["payment_method_types"]), session.get("_options")
            ),
            "payment_method_types": session["payment_method_types"],
            "_checkout": session["id"],
        },
    )
    return objects.update(ctx, session, {"payment_intent": intent["id"]})


def _after_intent(ctx: Context, session: Doc, intent: Doc) -> Result:
    """Where an attempt leads: on, to the bank's question, or back with its refusal."""
    session = objects.load(ctx, "checkout.session", session["id"])
    if session["status"] == "complete":
        return Result(session, instructions(intent) or success_address(session))
    if intent["status"] == "requires_action":
        return Result(session, payments.challenge_url(ctx, intent))
    error = intent.get("last_payment_error") or {}
    return Result(session, error=error.get("message"), field=error.get("param"))


def instructions(intent: Doc) -> str | None:
    """The page that tells how to pay in a shop or by transfer; it leads on to the session's success_url."""
    action: Doc = intent["next_action"] or {"type": ""}
    details: Doc = action.get(action["type"]) or {}
    return details.get("hosted_voucher_url") or details.get("hosted_instructions_url")


def _subscribe(ctx: Context, session: Doc, payment_method: Doc) -> Result:
    """Mode subscription. The subscription stays only when the bank says yes or asks; after a no all is as before,
    and the refused payment is kept by itself."""
    if session.get("_subscription"):
        return _try_again(ctx, session, payment_method)
    ctx.tx.sql("SAVEPOINT attempt")
    session = _begin(ctx, session)
    invoice = objects.load(ctx, "invoice", session["_invoice"])
    _, intent = collection.collect(
        ctx, invoice, payment_method, off_session=False, return_url=return_address(ctx, session)
    )
    if intent["status"] == "requires_payment_method":
        ctx.tx.sql("ROLLBACK TO attempt")
        _keep_refusal(ctx, session, payment_method)
    return _after_intent(ctx, session, intent)


def _begin(ctx: Context, session: Doc, **more: Any) -> Doc:
    """The subscription, incomplete, and its open invoice, if there is anything to pay at once."""
    customer = _customer(ctx, session)
    names = ("billing_cycle_anchor", "billing_mode", "default_tax_rates", "description", "metadata",
             "proration_behavior", "trial_end", "trial_period_days", "trial_settings")  # fmt: skip
    wanted = {name: session["_data"][name] for name in names if name in session["_data"]}
    recurring = [line for line in session["_lines"] if line["price"]["type"] == "recurring"]
    once = [line for line in session["_lines"] if line["price"]["type"] != "recurring"]
    subscription = subscribing.begin(
        ctx,
        wanted
        | {
            "add_invoice_items": [_item(line) for line in once],
            "customer": customer["id"],
            "items": [_item(line) for line in recurring],
            "payment_behavior": "default_incomplete",
            **({"discounts": session["_discounts"]} if session["_discounts"] else {}),
            **more,
        },
        inactive_prices=True,
    )
    subscription = lifecycle.changed(ctx, subscription, {"_keep_card": True})
    invoice = objects.find(ctx, "invoice", subscription["latest_invoice"])
    intent = collection.open_intent(ctx, invoice) if invoice else None
    if intent:
        objects.update(ctx, intent, {"_checkout": session["id"]})
    found = {
        "_subscription": subscription["id"], "_customer": customer["id"], "_invoice": subscription["latest_invoice"],
    }  # fmt: skip
    return objects.update(ctx, session, found)


def _item(line: Doc) -> Doc:
    metered = line["quantity"] is None
    rates = [rate["id"] for rate in line.get("_tax_rates") or []]
    taxed = {"tax_rates": rates} if rates else {}
    return {"price": line["price"]["id"]} | taxed | ({} if metered else {"quantity": line["quantity"]})


def _try_again(ctx: Context, session: Doc, payment_method: Doc) -> Result:
    """The subscription is there already: its card was challenged, and that failed or was left."""
    subscription = objects.load(ctx, "subscription", session["_subscription"])
    invoice = objects.load(ctx, "invoice", subscription["latest_invoice"])
    _, intent = collection.collect(
        ctx, invoice, payment_method, off_session=False, return_url=return_address(ctx, session)
    )
    return _after_intent(ctx, session, intent)


def _keep_refusal(ctx: Context, session: Doc, payment_method: Doc) -> None:
    """The failed payment as Stripe shows it: an intent without a subscription."""
    card = objects.load(ctx, "payment_method", payment_method["id"])
    session = objects.load(ctx, "checkout.session", session["id"])
    intent = objects.find(ctx, "payment_intent", session.get("_refused"))
    if intent is None:
        wanted = {
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            "description": "Subscription creation",
        }
        intent = payments.new_intent(ctx, wanted)
        objects.update(ctx, session, {"_refused": intent["id"]})
    payments.confirm(ctx, intent, card, off_session=False)


def _set_up(ctx: Context, session: Doc, payment_method: Doc) -> Result:
    """Mode setup, and subscriptions that begin with a trial: the card is kept, nothing is paid."""
    intent = objects.find(ctx, "setup_intent", session.get("_setup"))
    if intent is None:
        customer = _customer(ctx, session) if session["mode"] == "subscription" or session["customer"] else None
        data = session["_data"] if session["mode"] == "setup" else {}
        wanted: Doc = {name: data[name] for name in ("description", "metadata") if name in data}
        wanted["_checkout"] = session["id"]
        intent = setup_intents.new_setup_intent(ctx, wanted | {"customer": customer["id"] if customer else None})
        found: Doc = {"_setup": intent["id"], "_customer": customer["id"] if customer else None}
        session = objects.update(ctx, session, found)
    intent = setup_intents.confirm(ctx, intent, payment_method, return_url=return_address(ctx, session))
    return _after_set_up(ctx, session, intent)


def _after_set_up(ctx: Context, session: Doc, intent: Doc) -> Result:
    session = objects.load(ctx, "checkout.session", session["id"])
    if session["status"] == "complete":
        return Result(session, success_address(session))
    if intent["status"] == "requires_action":
        return Result(session, payments.challenge_url(ctx, intent))
    error = intent["last_setup_error"] or {}
    return Result(session, error=error.get("message"), field=error.get("param"))


def _is_set_up(ctx: Context, intent: Doc) -> None:
    """Told by setup_intents, on whatever way the card was set up."""
    session = objects.find(ctx, "checkout.session", intent.get("_checkout"))
    if session and session["status"] == "open":
        _complete_set_up(ctx, session, intent)


setup_intents.LISTENERS.append(_is_set_up)


def _complete_set_up(ctx: Context, session: Doc, intent: Doc) -> Doc:
    if session["mode"] == "setup":
        return _complete(ctx, session, {"customer": intent["customer"], "setup_intent": intent["id"]})
    session = objects.update(ctx, session, {"customer": intent["customer"]})
    session = _begin(ctx, session, default_payment_method=intent["payment_method"])
    found = {
        "customer": intent["customer"], "invoice": session["_invoice"], "subscription": session["_subscription"],
    }  # fmt: skip
    return _complete(ctx, session, found)


def come_back(ctx: Context, session: Doc) -> Result:
    """The customer returns from the bank's page, or comes a second time."""
    if session["status"] != "open":
        return Result(session, success_address(session) if session["status"] == "complete" else None)
    if session.get("_setup"):
        return _after_set_up(ctx, session, objects.load(ctx, "setup_intent", session["_setup"]))
    intent = objects.find(ctx, "payment_intent", session["payment_intent"]) or _invoice_intent(ctx, session)
    return _after_intent(ctx, session, intent) if intent else Result(session)


def _invoice_intent(ctx: Context, session: Doc) -> Doc | None:
    subscription = objects.find(ctx, "subscription", session.get("_subscription"))
    invoice = objects.find(ctx, "invoice", (subscription or {}).get("latest_invoice"))
    return collection.open_intent(ctx, invoice) if invoice else None


@payments.on_outcome
def _outcome(ctx: Context, intent: Doc) -> None:
    """Paid, in whatever way: here, or on the bank's page by somebody who never came back."""
    session = objects.find(ctx, "checkout.session", intent.get("_checkout"))
    if session and session["status"] == "complete" and session.get("_later"):
        _told_later(ctx, session, intent)
    if session is None or session["status"] != "open":
        return
    later = payments.is_later(intent)
    if not later and intent["status"] not in ("succeeded", "requires_capture"):
        return
    session = objects.update(ctx, session, {"_later": later})
    if session["mode"] == "payment":
        checkout_sums.redeemed(ctx, session)
        _complete(ctx, session, {"customer": intent["customer"]})
        return
    subscription = objects.load(ctx, "subscription", session["_subscription"])
    found = {
        "customer": subscription["customer"],
        "invoice": subscription["latest_invoice"],
        "subscription": subscription["id"],
    }
    _complete(ctx, session, found)


def _told_later(ctx: Context, session: Doc, intent: Doc) -> None:
    """The customer has gone long ago; now the money came, or will not come."""
    if intent["status"] == "succeeded":
        paid = objects.update(ctx, session, {"payment_status": "paid", "_later": False})
        objects.announce(ctx, "checkout.session.async_payment_succeeded", paid)
    elif intent["status"] in ("requires_payment_method", "canceled"):
        unpaid = objects.update(ctx, session, {"_later": False})
        objects.announce(ctx, "checkout.session.async_payment_failed", unpaid)


def _complete(ctx: Context, session: Doc, found: Doc) -> Doc:
    given = session["_given"]
    customer = objects.find(ctx, "customer", found.get("customer"))
    email = session["customer_email"] or (customer or {}).get("email") or given["email"]
    held = session["_data"].get("capture_method") == "manual"
    paid = "no_payment_required" if session["payment_status"] == "no_payment_required" else "paid"
    changes = found | {
        "customer_details": _details(email, given["name"] or (customer or {}).get("name"), None),
        "payment_status": "unpaid" if held or session.get("_later") else paid,
        "status": "complete",
        "url": None,
    }
    jobs.cancel(ctx, "checkout.expire", name=session["id"])
    done = objects.update(ctx, session, changes)
    objects.announce(ctx, "checkout.session.completed", done)
    return done


def expire(ctx: Context, session: Doc) -> Doc:
    """Too late, or called off. A subscription that waited for its first payment goes too."""
    jobs.cancel(ctx, "checkout.expire", name=session["id"])
    expired = objects.update(ctx, session, {"status": "expired", "url": None})
    subscription = objects.find(ctx, "subscription", session.get("_subscription"))
    if subscription and subscription["status"] == "incomplete":
        lifecycle.expire(ctx, subscription)
    intent = objects.find(ctx, "payment_intent", session["payment_intent"])
    if intent and intent["status"] not in ("succeeded", "canceled"):
        payments.cancel(ctx, intent, "abandoned")
    objects.announce(ctx, "checkout.session.expired", expired)
    return expired


@jobs.job("checkout.expire")
def expire_later(ctx: Context, payload: Doc) -> None:
    session = objects.find(ctx, "checkout.session", payload["session"])
    if session and session["status"] == "open":
        expire(ctx, session)
