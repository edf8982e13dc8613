"""How each kind is listed at Stripe, and in which order: parents before their children. Pure."""

from collections.abc import Iterable
from functools import cache

from django.db.models import ForeignKey

from billing.mirror.kinds import KINDS, MODEL_KINDS, RAW, Kind, kind_for

# Stripe's ids say by their prefix what they are of. Coupons have none: their ids are chosen by people.
PREFIXES = {
    "prod_": "product",
    "price_": "price",
    "promo_": "promotion_code",
    "txr_": "tax_rate",
    "shr_": "shipping_rate",
    "feat_": "entitlements.feature",
    "cus_": "customer",
    "pm_": "payment_method",
    "txi_": "tax_id",
    "sub_sched_": "subscription_schedule",
    "sub_": "subscription",
    "si_": "subscription_item",
    "seti_": "setup_intent",
    "pi_": "payment_intent",
    "txn_": "balance_transaction",
    "ch_": "charge",
    "py_": "charge",
    "re_": "refund",
    "pyr_": "refund",
    "du_": "dispute",
    "dp_": "dispute",
    "in_": "invoice",
    "ii_": "invoiceitem",
    "cs_": "checkout.session",
    "mandate_": "mandate",
    "po_": "payout",
    "issfr_": "radar.early_fraud_warning",
    "prv_": "review",
    "cn_": "credit_note",
    "qt_": "quote",
    "inpay_": "invoice_payment",
    "mtr_": "billing.meter",
    "clock_": "test_helpers.test_clock",
    "plink_": "payment_link",
    "bpc_": "billing_portal.configuration",
    "tr_": "transfer",
    "tu_": "topup",
    "acct_": "account",
    "we_": "webhook_endpoint",
    "file_": "file",
    "link_": "file_link",
}

# Lists that cannot be narrowed by `created` (Stripe's API reference): they are walked from end to end.
WITHOUT_CREATED = frozenset(
    {
        "billing.alert", "billing.credit_grant", "billing.meter", "billing_portal.configuration", "country_spec",
        "entitlements.feature", "financial_connections.account", "invoice_rendering_template", "payment_link",
        "payment_method_configuration", "payment_method_domain", "quote", "scheduled_query_run", "tax.registration",
        "tax_code", "terminal.configuration", "terminal.location", "terminal.reader", "test_helpers.test_clock",
        "webhook_endpoint",
    }
)  # fmt: skip
# Lists that can be narrowed to a customer (Stripe's API reference), or to a test clock.
BY_CUSTOMER = (
    "subscription", "subscription_schedule", "setup_intent", "payment_intent", "charge", "invoiceitem", "invoice",
    "checkout.session", "credit_note", "promotion_code", "quote",
)  # fmt: skip
BY_CLOCK = ("customer", "subscription")
# Those that know no customer, but a charge.
BY_CHARGE = ("refund", "dispute", "radar.early_fraud_warning")
# Lists that leave objects out: that a row is not listed says nothing (API reference: inline prices).
PARTIAL = frozenset({"price"})
# Lists of what is still open: a row that says so and is not listed has been closed (API reference, "List all open
# reviews").
OPEN_ONLY = frozenset({"review"})
# A call for each customer, for what few customers have: only when asked for by name.
ONLY_BY_NAME = frozenset({"customer_cash_balance_transaction", "customer_balance_transaction"})
# Lists inside a customer that spare a call for each, where they are asked for (Stripe docs: "Expanding responses").
NESTED = {"customer": ("tax_ids",)}
NESTED_KINDS = {"tax_ids": "tax_id"}
# References that a list brings along, expanded (`Kind.spares` besides): no kind need be there before because of them.
ALONG = {
    "customer": ("invoice_settings.default_payment_method",),
    "setup_intent": ("payment_method",),
    "payment_intent": ("payment_method",),
    "invoiceitem": ("invoice",),
    "invoice": ("default_payment_method",),
}
# What stands inside an object and refers to others.
INSIDE = {"subscription": "subscription_item", "invoice": "line_item"}
NOT_BEFORE = frozenset(
    {
        ("customer", "payment_method"),  # brought along, like those that follow
        ("setup_intent", "payment_method"),
        ("payment_intent", "payment_method"),
        ("invoice", "payment_method"),
        ("invoiceitem", "invoice"),
        ("charge", "invoice"),  # empty since 2025-03-31.basil
        ("invoice", "charge"),
        ("invoice", "payment_intent"),
        ("payout", "payout"),
    }
)


def listable() -> list[Kind]:
    """The kinds that can be resynced as a whole, parents before children."""
    kinds = [kind for kind in (*KINDS.values(), *RAW.values()) if kind.listing is not None or kind.under is not None]
    return sorted(kinds, key=lambda kind: stage_of(kind.name))


def listed_by_default() -> list[Kind]:
    return [kind for kind in listable() if kind.name not in ONLY_BY_NAME]


@cache
def stage_of(name: str) -> int:
    """Kinds of one stage can be read side by side; what they refer to is of an earlier stage, or comes along."""
    before = parents_of(name) | ({kind_for(name).under.kind} if kind_for(name).under else set())  # type: ignore[union-attr]
    return 1 + max((stage_of(parent) for parent in before), default=-1)


@cache
def parents_of(name: str) -> frozenset[str]:
    """The listable kinds that rows of this kind, and of what stands inside it, refer to."""
    found = {target for part in (name, INSIDE.get(name)) if part for target in targets_of(part)}
    found -= set(kind_for(name).spares)  # brought along: a balance transaction is named like its kind
    return frozenset(t for t in found if t != name and (name, t) not in NOT_BEFORE and is_listable(t))


@cache
def ancestors_of(name: str) -> frozenset[str]:
    """The parents of a kind, their parents, and so on."""
    parents = parents_of(name)
    return parents.union(*map(ancestors_of, parents))


def targets_of(name: str) -> Iterable[str]:
    model = kind_for(name).model
    if model is None:
        return
    for field in model._meta.get_fields():
        if isinstance(field, ForeignKey) and field.name != "djstripe_owner_account":
            target = MODEL_KINDS.get(field.related_model)
            if target:
                yield target


def is_listable(name: str) -> bool:
    kind = kind_for(name)
    return kind.listing is not None or kind.under is not None


def by_created(kind: Kind) -> bool:
    """Whether its list can be cut into spans of time."""
    return kind.listing is not None and kind.name not in WITHOUT_CREATED


def expansions(kind: Kind) -> list[str]:
    """What to ask for beside the objects of a list of this kind."""
    names = (*kind.expand, *kind.spares, *ALONG.get(kind.name, ()), *NESTED.get(kind.name, ()))
    return [f"data.{name}" for name in dict.fromkeys(names)]


def kind_of(object_id: str) -> str | None:
    """Return the kind that an id's prefix names, None for an id that says nothing."""
    return next((kind for prefix, kind in PREFIXES.items() if object_id.startswith(prefix)), None)
