"""What a handler is given: the transaction, the time, whose request this is.

A handler gets everything from `ctx` and nothing from the outside: `ctx.now` (simulated unix seconds; loading an object
of a test clock sets it to that clock's time), `ctx.tx` (store.Transaction), `ctx.scope`, `ctx.livemode`,
`ctx.request_id` (None inside a job).
"""

from dataclasses import dataclass, field
from functools import cached_property

from sandbox import API_VERSION
from sandbox.store import Transaction


@dataclass(frozen=True)
class Scope:
    """One account in one mode."""

    account: str
    livemode: bool

    @cached_property
    def text(self) -> str:
        """By which the store knows it."""
        return f"{self.account}:{'live' if self.livemode else 'test'}"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "Scope":
        account, mode = text.rsplit(":", 1)
        return cls(account, mode == "live")


@dataclass
class Context:
    tx: Transaction
    now: int
    owner: Scope
    base_url: str
    request_id: str | None = None
    idempotency_key: str | None = None
    publishable: bool = False
    api_version: str = API_VERSION
    ignored: list[str] = field(default_factory=list)
    sandbox_now: int = 0
    """Unix seconds outside of any test clock: when webhooks are due, how old an idempotency key is."""
    clock: str | None = None
    """The test clock in whose time this happens; `now` is its time then."""
    advancing: bool = False
    """That clock is under way: what lives in its time may be read and not changed."""

    rehearsing: bool = False
    """What is done will be undone: nobody is told of it."""

    def __post_init__(self) -> None:
        self.sandbox_now = self.sandbox_now or self.now

    @property
    def scope(self) -> str:
        return self.owner.text

    @property
    def account(self) -> str:
        return self.owner.account

    @property
    def livemode(self) -> bool:
        return self.owner.livemode

    def enter(self, scope: str) -> None:
        """Work in another scope from here on; hosted pages do so once they know whose object they show."""
        self.owner = Scope.parse(scope)
