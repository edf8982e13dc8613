"""Random walks over an invoice, its payments and its credit notes: whatever is done, the sums agree."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.running import new_account
from tests.sandbox.travel import Travel

AMOUNTS = st.one_of(st.integers(min_value=1, max_value=1500), st.integers(min_value=1, max_value=9000))
SHARES = st.integers(min_value=0, max_value=100)
NOTES = st.tuples(st.just("note"), st.tuples(AMOUNTS, SHARES, SHARES))
ACTS = st.one_of(
    *[NOTES] * 5,
    *[st.tuples(st.just("line"), st.tuples(st.integers(min_value=0, max_value=2), AMOUNTS))] * 2,
    *[st.tuples(st.just("attach"), AMOUNTS)] * 2,
    st.tuples(st.just("void a note"), st.integers(min_value=0, max_value=3)),
    st.tuples(st.sampled_from(["pay", "pay", "pay elsewhere", "void", "write off"]), st.none()),
)


@dataclass
class Books:
    """One customer with one finalised invoice."""

    travel: Travel
    account: str
    customer: str
    invoice: str
    elsewhere: bool = False

    def now(self) -> Any:
        return self.travel.get(f"/v1/invoices/{self.invoice}")

    def notes(self) -> list[Any]:
        found: list[Any] = self.travel.get("/v1/credit_notes", invoice=self.invoice, limit="100")["data"]
        return found

    def act(self, name: str, value: Any) -> None:
        """One step; whether it is allowed is the sandbox's business."""
        path = f"/v1/invoices/{self.invoice}"
        if name == "note":
            self.credit({"amount": str(value[0])}, value[0], value[1:])
        elif name == "line":
            line = self.now()["lines"]["data"][value[0]]
            fields = {"type": "invoice_line_item", "invoice_line_item": line["id"], "amount": str(value[1])}
            lines = {f"lines[0][{key}]": one for key, one in fields.items()}
            seen = self.travel.ask("GET", "/v1/credit_notes/preview", invoice=self.invoice, credit_amount="1", **lines)
            self.credit(lines, seen[1].get("total", value[1]), (30, 30))
        elif name == "attach":
            self.attach(value)
        elif name == "void a note":
            for note in self.notes()[value : value + 1]:
                self.travel.ask("POST", f"/v1/credit_notes/{note['id']}/void")
        elif name == "pay elsewhere":
            self.elsewhere |= self.travel.ask("POST", f"{path}/pay", paid_out_of_band="true")[0] == 200
        else:
            self.travel.ask("POST", f"{path}/{ {'write off': 'mark_uncollectible'}.get(name, name) }")

    def credit(self, what: dict[str, str], total: int, shares: tuple[int, ...]) -> None:
        """A note whose part after payment goes three ways."""
        invoice = self.now()
        before = min(total, invoice["amount_remaining"]) if invoice["status"] == "open" else 0
        refunded, credited = ((total - before) * share // 200 for share in shares)
        rest = total - before - refunded - credited
        ways = {"refund_amount": refunded, "credit_amount": credited, "out_of_band_amount": rest}
        given = {name: str(amount) for name, amount in ways.items() if amount}
        self.travel.ask("POST", "/v1/credit_notes", invoice=self.invoice, **what, **given)

    def attach(self, amount: int) -> None:
        intent = self.travel.post(
            "/v1/payment_intents", amount=str(max(amount, 50)), currency="jpy", customer=self.customer,
            payment_method="pm_card_visa", confirm="true", **{"payment_method_types[]": "card"},
        )  # fmt: skip
        path = f"/v1/invoices/{self.invoice}/attach_payment"
        if self.travel.ask("POST", path, payment_intent=intent["id"])[0] != 200:
            self.travel.post("/v1/refunds", payment_intent=intent["id"])


def begin(travel: Travel, *, off: int, rate: int, shipping: int, balance: int) -> Books:
    account = new_account()
    travel.key = f"sk_test_{account}0123456789"
    customer = travel.post(
        "/v1/customers", payment_method="pm_card_visa", balance=str(balance),
        **{"invoice_settings[default_payment_method]": "pm_card_visa"},
    )["id"]  # fmt: skip
    terms = {}
    if off:
        terms["discounts[0][coupon]"] = travel.post("/v1/coupons", percent_off=str(off), duration="once")["id"]
    if rate:
        vat = travel.post("/v1/tax_rates", display_name="VAT", percentage=str(rate), inclusive="false")
        terms["default_tax_rates[0]"] = vat["id"]
    if shipping:
        data = "shipping_cost[shipping_rate_data]"
        fixed = {f"{data}[fixed_amount][amount]": str(shipping), f"{data}[fixed_amount][currency]": "jpy"}
        terms |= {f"{data}[display_name]": "Post", **fixed}
    made = travel.post("/v1/invoices", customer=customer, currency="jpy", **terms)["id"]
    lines = {f"lines[{number}][amount]": str(amount) for number, amount in enumerate((3000, 1999, 1))}
    travel.post(f"/v1/invoices/{made}/add_lines", **lines)
    travel.post(f"/v1/invoices/{made}/finalize")
    return Books(travel, travel.get("/v1/account")["id"], customer, made)


def check(books: Books, starting: int) -> None:
    invoice, notes = books.now(), [note for note in books.notes() if note["status"] == "issued"]
    before, after = (sum(note[f"{name}_payment_amount"] for note in notes) for name in ("pre", "post"))
    assert (invoice["pre_payment_credit_notes_amount"], invoice["post_payment_credit_notes_amount"]) == (before, after)
    assert before + after == sum(note["total"] for note in notes) <= invoice["total"]
    assert invoice["amount_due"] == max(invoice["total"] + starting, 0) - before
    assert 0 <= invoice["amount_remaining"] == invoice["amount_due"] - invoice["amount_paid"]
    assert (invoice["amount_remaining"] == 0) == (invoice["status"] == "paid")
    for note in notes:
        check_note(note)
    check_money(books, invoice, notes)


def check_note(note: Any) -> None:
    """A note is its lines, and what is not taken off the debt is given back in ways that sum up."""
    parts = sum(line["amount"] - line["discount_amount"] for line in note["lines"]["data"])
    added = sum(tax["amount"] for tax in note["total_taxes"] if tax["tax_behavior"] == "exclusive")
    assert note["total"] == note["amount"] == parts + added + note["amount_shipping"]
    assert note["total"] == note["pre_payment_amount"] + note["post_payment_amount"]


def check_money(books: Books, invoice: Any, notes: list[Any]) -> None:
    """What came in less what went back stands in the balance, and the credit is what was promised."""
    refunds = sum(refund["amount_refunded"] for note in notes for refund in note["refunds"])
    elsewhere = sum(note["out_of_band_amount"] or 0 for note in notes)
    moved = books.travel.get(f"/v1/customers/{books.customer}/balance_transactions", limit="100")["data"]
    credited = -sum(one["amount"] for one in moved if one["type"] == "credit_note")
    assert refunds + elsewhere + credited == sum(note["post_payment_amount"] for note in notes)
    assert books.travel.get(f"/v1/customers/{books.customer}")["balance"] == sum(one["amount"] for one in moved)
    payments = books.travel.get("/v1/invoice_payments", invoice=books.invoice, status="paid", limit="100")["data"]
    came = sum(payment["amount_paid"] for payment in payments)
    if not books.elsewhere:
        assert came == invoice["amount_paid"] + invoice["amount_overpaid"]
    assert books.travel.get("/v1/balance")["available"][0]["amount"] == came - refunds
    assert books.travel.get("/_sandbox/ledger", account=books.account)["balanced"]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(ACTS, min_size=4, max_size=10),
    off=st.sampled_from([0, 10, 33]),
    rate=st.sampled_from([0, 10]),
    shipping=st.sampled_from([0, 500]),
    balance=st.sampled_from([0, -700, 300]),
    paid=st.booleans(),
)
def test_notes_payments_and_credit_agree_whatever_happens(
    travel: Travel, steps: list[tuple[str, Any]], off: int, rate: int, shipping: int, balance: int, paid: bool
) -> None:
    books = begin(travel, off=off, rate=rate, shipping=shipping, balance=balance)
    if paid:
        books.act("pay", None)
    check(books, balance)
    for name, value in steps:
        books.act(name, value)
        check(books, balance)
