"""Living one life in a scratch sandbox, and what stands there after each thing that happened of late."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from sandbox import jobs
from sandbox.app import Call, answer
from sandbox.billing.periods import DAY
from sandbox.clock import Clock
from sandbox.documents import BASE62, drawing_from
from sandbox.engine import Engine
from sandbox.kinds import Doc
from sandbox.store import Store

LATELY = 28 * DAY
"""Copies are moved forward by less than this, so this is how much of a life's end is remembered step by step."""
CLOCK_BACK = 49 * DAY
NAME, MAIL = "LIVESNAMELIVES", "livesmaillives"
"""Stand for the name and the e-mail in a life; each copy has its own."""
ROWS = ("jobs", "ledger", "usage")
"""Further tables whose rows belong to a life."""


@dataclass(frozen=True)
class Moment:
    """What a life has left in the store from `since` on, until the next moment. Rows as SQLite gives them."""

    since: int
    objects: list[tuple[Any, ...]]
    """seq, kind, id, created, deleted, body"""
    indices: list[tuple[Any, ...]]
    """kind, field, value, created, seq"""
    rows: dict[str, list[tuple[Any, ...]]]


@dataclass
class Life:
    """One customer's, in a store of its own. Times are unix seconds."""

    engine: Engine
    key: str
    plan: str
    start: int
    age: int
    """Months."""
    prices: dict[str, str]
    drawn: list[str]
    """Every random text that was made."""
    known: int = 0
    until: int = 0
    """The last row that was there before."""
    customer: str = ""
    clock: str = ""
    """The test clock that it lives on, if it does."""
    moments: list[Moment] = field(default_factory=list)
    name: str = NAME
    mail: str = MAIL

    def post(self, path: str, **form: str) -> Doc:
        return self._ask("POST", path, form)

    def get(self, path: str, **query: str) -> Doc:
        return self._ask("GET", path, query)

    def _ask(self, method: str, path: str, given: dict[str, str]) -> Doc:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/x-www-form-urlencoded"}
        sent = urlencode(given)
        query, body = ("", sent.encode()) if method == "POST" else (sent, b"")
        said = answer(self.engine, Call(method, path, query, headers, body, self.engine.base_url))
        doc: Doc = json.loads(bytes(said.body))
        if said.status_code != 200:
            raise RuntimeError(f"{method} {path}: {doc['error']['message']}")
        return doc

    def register(self, *, clocked: bool = False) -> None:
        """A customer with a card, on a test clock that stands seven weeks back if wanted."""
        on: dict[str, str] = {}
        if clocked:
            begun = str(self.start - CLOCK_BACK)
            made = self.post("/v1/test_helpers/test_clocks", frozen_time=begun, name="What a renewal looks like")
            self.clock = on["test_clock"] = made["id"]
        self.customer = self.post("/v1/customers", name=self.name, email=f"{self.mail}@example.com", **on)["id"]
        self.pay_with("pm_card_visa")

    def pay_with(self, card: str) -> None:
        attached = self.post(f"/v1/payment_methods/{card}/attach", customer=self.customer)["id"]
        self.post(f"/v1/customers/{self.customer}", **{"invoice_settings[default_payment_method]": attached})

    def live(self, acts: Iterator[int], now: int) -> None:
        """Follow the story until `now`, and remember the moments of the last weeks."""
        self.until = now
        if self.start >= now - LATELY:
            self._remember()
        for at in acts:
            if at > now:
                break
            self._go_to(at)
        self._go_to(now)
        self._remember()

    def _go_to(self, to: int) -> None:
        """In one stride to the time from which on it is remembered, then from job to job. What was done before (an act
        of the story) is remembered too."""
        edge = self.until - LATELY
        if self.engine.clock.now() < edge:
            jobs.advance(self.engine, min(to, edge))
        if to < edge:
            return
        self._remember()
        while (due := self._next_due()) is not None and due <= to:
            jobs.advance(self.engine, max(due, self.engine.clock.now()))
            self._remember()
        jobs.advance(self.engine, to)

    def _next_due(self) -> int | None:
        with self.engine.store.read() as tx:
            due = tx.sql("SELECT min(due_at) FROM jobs WHERE clock=''").fetchone()[0]
        return None if due is None else int(due)

    def _remember(self) -> None:
        moment = read_moment(self.engine.store, self.known, self.engine.clock.now())
        if self.moments and self.moments[-1].since == moment.since:
            self.moments.pop()
        self.moments.append(moment)


def read_moment(store: Store, known: int, now: int) -> Moment:
    """Everything that was added after the row `known`."""
    with store.read() as tx:
        columns = "seq, kind, id, created, deleted, body"
        objects = tx.sql(f"SELECT {columns} FROM objects WHERE seq>? ORDER BY seq", known).fetchall()  # noqa: S608
        indices = tx.sql("SELECT kind, field, value, created, seq FROM object_index WHERE seq>?", known).fetchall()
        rows = {name: tx.sql(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in ROWS}  # noqa: S608
    return Moment(now, objects, indices, rows)


class Repeatable:
    """Random letters from a seed, remembered."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311 (nothing here is secret)
        self.drawn: list[str] = []

    def __call__(self, length: int) -> str:
        text = "".join(self._random.choices(BASE62, k=length))
        self.drawn.append(text)
        return text


def live_one(
    folder: Path, catalogue: Path, prices: dict[str, str], *, key: str, base_url: str, seed: str,
    plan: str, start: int, age: int, now: int, story: Any, clocked: bool,
) -> Life:  # fmt: skip
    """A life in a copy of the store that holds the catalogue. Raises RuntimeError when the API refuses an act."""
    folder.mkdir(parents=True)
    shutil.copy(catalogue / "sandbox.sqlite3", folder / "sandbox.sqlite3")
    store, source = Store(folder), Repeatable(seed)
    try:
        with store.read() as tx:
            known = tx.sql("SELECT coalesce(max(seq), 0) FROM objects").fetchone()[0]
        engine = Engine(store, Clock(wall=lambda: start), base_url, ())
        with drawing_from(source):
            life = Life(engine, key, plan, start, age, prices, source.drawn, known)
            life.register(clocked=clocked)
            life.live(story(life), now)
    finally:
        store.close()
        shutil.rmtree(folder)
    return life
