"""A moment of a life as a pattern: everything that is this customer's own is a gap. Pure.

Gaps are the random parts of ids and secrets, the name, the e-mail, every time, and dates in sentences. Filling a
pattern is one formatting of a string, so that many thousands can be filled each second.
"""

import datetime
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from random import Random
from typing import Any

from sandbox.billing.periods import DAY
from sandbox.documents import LETTERS
from sandbox.fill.lives import MAIL, NAME, Moment
from sandbox.search_index import fold

LONG_ID = 24
"""Letters of an id that begins with a digit, the time and the account; the last eight are random."""
RANDOM_END = 8
GAPS = re.compile(r"(?<![\w.])(1[5-9]\d{8}|2[0-3]\d{8})(?!\w)|\b(\d\d (?:[A-Z][a-z]{2}) 20\d\d)\b|([A-Za-z0-9]{8,})")
"""A time (2017 to 2046), a date in a sentence, or something that may be a random text."""


NAMED = re.compile(r'"([a-z]+(?:_[a-z]+)*_[A-Za-z0-9]{14,})"')
LEDGER_CAUSE = 9
"""The column of a movement that names the charge, refund, dispute … that caused it."""
STANDING = ("customer", "test_helpers.test_clock")
"""What is there as long as somebody does not delete it."""


@dataclass(frozen=True)
class Person:
    """What is one copy's own. `shift` is in seconds."""

    name: str
    mail: str
    shift: int


class Gaps:
    """The numbered gaps of a life; every pattern of the life shares them."""

    def __init__(self, drawn: Iterable[str]) -> None:
        self._texts = {text for one in drawn if len(one) >= RANDOM_END for text in (one, one.upper())}
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, kind: str, text: str) -> int:
        return self._numbers.setdefault((kind, text), len(self._numbers))

    def gap(self, run: str) -> tuple[str, int, str] | None:
        """What stands before the gap, its number, what stands after it."""
        if run == NAME:
            return "", self.number("name", run), ""
        if run == fold(NAME):
            return "", self.number("folded name", run), ""
        if run == MAIL:
            return "", self.number("mail", run), ""
        if run in self._texts:
            return "", self.number("text", run), ""
        if len(run) == LONG_ID and run[-RANDOM_END:] in self._texts:
            return run[:-RANDOM_END], self.number("text", run[-RANDOM_END:]), ""
        return None

    def fill(self, person: Person, random: Random) -> list[str]:
        """A value for each gap."""
        lengths = [len(text) if kind == "text" else 0 for kind, text in self._numbers]
        letters = random.randbytes(sum(lengths)).translate(LETTERS).decode()
        values, used = [], 0
        for (kind, text), length in zip(self._numbers, lengths, strict=True):
            if kind == "text":
                fresh = letters[used : used + length]
                used += length
                values.append(fresh.upper() if text.isupper() else fresh)
            else:
                values.append(self._other(kind, text, person))
        return values

    @staticmethod
    def _other(kind: str, text: str, person: Person) -> str:
        if kind == "time":
            return str(int(text) + person.shift)
        if kind == "date":
            day = datetime.datetime.strptime(text, "%d %b %Y").replace(tzinfo=datetime.UTC)
            return (day + datetime.timedelta(days=person.shift // DAY)).strftime("%d %b %Y")
        return {"name": person.name, "folded name": fold(person.name), "mail": person.mail}[kind]


@dataclass(frozen=True)
class Pattern:
    """A text with gaps."""

    text: str
    pick: Callable[[list[str]], Any] | None

    def fill(self, values: list[str]) -> str:
        return self.text % self.pick(values) if self.pick else self.text


def pattern(text: str, gaps: Gaps) -> Pattern:
    parts, numbers, end = [], [], 0
    for found in GAPS.finditer(text):
        gap = _gap(found, gaps)
        if gap is None:
            continue
        before, number, after = gap
        parts += [text[end : found.start()].replace("%", "%%"), before, "%s", after]
        numbers.append(number)
        end = found.end()
    if not numbers:
        return Pattern(text, None)
    whole = "".join([*parts, text[end:].replace("%", "%%")])
    return Pattern(whole, itemgetter(*numbers))


def _gap(found: re.Match[str], gaps: Gaps) -> tuple[str, int, str] | None:
    time, date, run = found.groups()
    if time:
        return "", gaps.number("time", time), ""
    if date:
        return "", gaps.number("date", date), ""
    return gaps.gap(run)


@dataclass(frozen=True)
class Row:
    """A row of a further table: whole numbers that are times move, texts have gaps, the first column is left out."""

    cells: tuple[Any, ...]

    def fill(self, values: list[str], shift: int) -> tuple[Any, ...]:
        return tuple(
            cell.fill(values) if isinstance(cell, Pattern) else cell + shift if _is_time(cell) else cell
            for cell in self.cells
        )


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and 1_500_000_000 <= value < 2_400_000_000


@dataclass(frozen=True)
class Stamp:
    """A moment with gaps. Objects: (seq in the life, kind, id, created, deleted, body)."""

    since: int
    gaps: Gaps
    objects: list[tuple[int, str, Pattern, int, int, Pattern]]
    indices: list[tuple[str, str, Pattern, int, int]]
    rows: dict[str, list[Row]]


def stamp(moment: Moment, gaps: Gaps, known: dict[str, Pattern]) -> Stamp:
    """`known` holds the patterns of texts that other moments of the life have too."""

    def of(text: str) -> Pattern:
        if text not in known:
            known[text] = pattern(text, gaps)
        return known[text]

    return Stamp(
        moment.since,
        gaps,
        [(seq, kind, of(id), made, gone, of(body)) for seq, kind, id, made, gone, body in moment.objects],
        [(kind, field, of(value), made, seq) for kind, field, value, made, seq in moment.indices],
        {
            name: [Row(tuple(of(cell) if isinstance(cell, str) else cell for cell in row[1:])) for row in rows]
            for name, rows in moment.rows.items()
        },
    )


def present(moment: Moment) -> Moment:
    """Without the past: customer, payment methods, living subscriptions, their last invoices and what paid those; and
    whatever these refer to. Who has sent cash keeps all payments, of which the rest of it is what is left."""
    docs = {row[2]: json.loads(row[5]) for row in moment.objects if row[1] != "event" and not row[4]}
    cash = any(doc["object"] == "cash_balance" for doc in docs.values())
    kept: set[str] = set(docs) if cash else set()
    for id, doc in docs.items():
        if doc["object"] in STANDING or (doc["object"] == "payment_method" and doc["customer"]):
            kept.add(id)
        if doc["object"] == "subscription" and not doc["ended_at"]:
            kept |= {id, *_paid_with(docs, doc["latest_invoice"])}
    kept = _with_named({row[2]: row[5] for row in moment.objects if row[2] in docs}, kept)
    seqs = {row[0] for row in moment.objects if row[2] in kept}
    return Moment(
        moment.since,
        [row for row in moment.objects if row[0] in seqs],
        [row for row in moment.indices if row[4] in seqs],
        {name: [row for row in rows if _belongs(name, row, kept)] for name, rows in moment.rows.items()},
    )


def _with_named(bodies: dict[str, str], kept: set[str]) -> set[str]:
    """With everything that is named inside what is kept, and inside that."""
    found, todo = set(kept), list(kept)
    while todo:
        named = set(NAMED.findall(bodies[todo.pop()])) & bodies.keys()
        todo += named - found
        found |= named
    return found


def _paid_with(docs: dict[str, Any], invoice: str | None) -> set[str]:
    """An invoice, its payments, their intents, charges and balance transactions."""
    found = {invoice} if invoice else set()
    for kind, field in (
        ("invoice_payment", "invoice"), ("charge", "payment_intent"), ("refund", "charge"), ("dispute", "charge"),
        ("balance_transaction", "source"),
    ):  # fmt: skip
        for id, doc in docs.items():
            if doc["object"] == kind and doc[field] in found:
                found |= {id, doc["payment"].get("payment_intent")} if kind == "invoice_payment" else {id}
    return {id for id in found if id in docs}


def _belongs(name: str, row: tuple[Any, ...], kept: set[str]) -> bool:
    """Money belongs to what moved it, the rest to whoever is named."""
    named = (row[LEDGER_CAUSE],) if name == "ledger" else row
    return any(isinstance(cell, str) and cell in kept for cell in named)
