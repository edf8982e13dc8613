"""`manage.py resync`: bring the mirror to what Stripe has now, or say in what it differs."""

import json
import re
import signal
import threading
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console

from billing.mirror import asking, drift, resync
from billing.mirror.failing import first_line
from billing.mirror.kinds import Kind, Ref, kind_for
from billing.mirror.listing import kind_of, listable, listed_by_default
from billing.mirror.resync import AlreadyRunning
from billing.mirror.resync_counts import Outcome, outcomes
from billing.mirror.resync_pages import change_of
from billing.mirror.resync_parts import Wanted
from billing.mirror.resync_progress import ProgressLine, table_of
from billing.mirror.write import Change, stored_of
from billing.stripe_accounts import StripeAccount, UnknownAccount, by_name, configured

SHOWN = (Change.CREATED, Change.UPDATED, Change.UNCHANGED, Change.DELETED, Change.REFUSED)
SPAN = re.compile(r"(\d+)([hdw])")
HOURS = {"h": 1, "d": 24, "w": 168}


class Command(BaseCommand):
    help = (
        "Bring the mirror to what Stripe has now: all kinds of objects, some kinds, one customer's, or one object. "
        "Killed or stopped, the same command goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(kind.name for kind in listable())
        parser.add_argument(
            "kinds", nargs="*", metavar="kind", help=f"{names}; all that can be listed when none is given"
        )
        parser.add_argument(
            "--object", metavar="ID", help="one object, cus_… for instance; a coupon needs its kind too"
        )
        parser.add_argument("--customer", metavar="ID", default="", help="only what belongs to this customer")
        parser.add_argument(
            "--since", metavar="WHEN", help="only what was created since: 2026-02-01, or 12h, 30d, 4w ago"
        )
        parser.add_argument("--account", action="append", metavar="NAME", help="one of STRIPE_ACCOUNTS; all by default")
        parser.add_argument(
            "--check", "--dry-run", action="store_true", help="write nothing: report what differs from Stripe"
        )
        parser.add_argument(
            "--thorough",
            action="store_true",
            help="ask about every customer's payment methods, also where Stripe's events tell of no change",
        )
        parser.add_argument("--json", action="store_true", help="print the counts as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if options["object"] is not None:
                self.one_object(options)
            else:
                self.many(options)
        except (stripe.StripeError, AlreadyRunning) as error:
            raise CommandError(explain(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. What was done so far stays: the same command goes on where it was.")

    def one_object(self, options: dict[str, Any]) -> None:
        name = options["kinds"][0] if options["kinds"] else kind_of(options["object"])
        if name is None:
            raise CommandError(f"Which kind of object is {options['object']}? Say it: `resync coupon --object …`.")
        if not options["object"] or not can_be_asked(name):
            raise CommandError(f"Stripe answers no single {name} by {options['object'] or 'no id'} (docs/kinds.md).")
        account, ref = chosen_accounts(options["account"])[0], Ref(name, options["object"])
        change = self.one(ref, account, check=options["check"], as_json=options["json"])
        if change is Change.ABSENT:
            raise CommandError(f"Neither Stripe nor the mirror knows the {name} {options['object']}.")
        self.report({(account.name, name): Outcome(Counter([change.value]))}, options)

    def one(self, ref: Ref, account: StripeAccount, *, check: bool, as_json: bool) -> Change:
        """Bring one object to what Stripe has; or, to check, say in what it differs and what would become of it."""
        if not check:
            return asking.refresh([ref], account=account, clock=timezone.now)[ref]
        found = drift.look([ref], account=account)
        for error in found.errors.values():
            raise error
        self.differences(found.differing, as_json=as_json)
        known = ref in found.differing or ref in found.unsettled or bool(stored_of([ref]))
        return change_of(found.differing.get(ref)) if known else Change.ABSENT

    def many(self, options: dict[str, Any]) -> None:
        accounts = chosen_accounts(options["account"])
        wanted = wanted_of(options, accounts)
        resync.owners_known(accounts)
        itself = self.customer_itself(wanted, accounts, as_json=options["json"])
        work = resync.begin(wanted, accounts, timezone.now)
        with ProgressLine(work, shown=not options["json"]) as line:
            resync.carry_out(work, watch=line.show)
        self.differences(work.differing, as_json=options["json"])
        self.report(itself | outcomes(work.run), options)

    def customer_itself(
        self, wanted: Wanted, accounts: list[StripeAccount], *, as_json: bool
    ) -> dict[tuple[str, str], Outcome]:
        """Where one customer's objects are asked for, the customer first: no list has them by their own id."""
        if not wanted.customer or "customer" not in wanted.kinds:
            return {}
        ref = Ref("customer", wanted.customer)
        changes = {account.name: self.one(ref, account, check=wanted.check, as_json=as_json) for account in accounts}
        if set(changes.values()) == {Change.ABSENT}:
            raise CommandError(f"Neither Stripe nor the mirror knows the customer {wanted.customer}.")
        return {
            (owner, ref.kind): Outcome(Counter([change.value]))
            for owner, change in changes.items()
            if change is not Change.ABSENT
        }

    def differences(self, differing: Mapping[Ref, list[Any]], *, as_json: bool) -> None:
        """Field by field; with JSON the counts alone are printed."""
        for ref, found in {} if as_json else differing.items():
            for difference in found:
                ours, theirs = json.dumps(difference.ours), json.dumps(difference.theirs)
                self.stdout.write(f"{ref} {difference.path}: {ours} in the mirror, {theirs} at Stripe")

    def report(self, outcomes: dict[tuple[str, str], Outcome], options: dict[str, Any]) -> None:
        """Say what became of each kind. Raises CommandError when something was refused or may not be read."""
        if options["json"]:
            self.stdout.write(json.dumps(plain(outcomes)))
        else:
            out: Any = self.stdout
            Console(file=out).print(table_of(outcomes, SHOWN, check=options["check"]))
            reasons: dict[str, list[str]] = {}
            for (owner, name), outcome in outcomes.items():
                reasons.setdefault(outcome.unavailable, []).append(label(owner, name))
            for reason, names in reasons.items():
                if reason:
                    self.stdout.write(f"Left out: {', '.join(names)}. {reason}")
            self.tell_spared(outcomes)
        refused = sum(outcome.counts[Change.REFUSED.value] for outcome in outcomes.values())
        if refused:
            raise CommandError(
                f"Objects that the mirror's tables have no place for, or that belong to another Stripe account: "
                f"{refused}. The log names each and says why."
            )

    def tell_spared(self, outcomes: dict[tuple[str, str], Outcome]) -> None:
        spared = sum(outcome.spared for outcome in outcomes.values())
        if spared:
            customers = "1 customer" if spared == 1 else f"{spared:,} customers"
            self.stdout.write(
                f"Not asked about one by one: the payment methods of {customers}. They came along with other "
                "objects, and Stripe's events tell of no others since. `--thorough` asks about every customer."
            )


def can_be_asked(name: str) -> bool:
    kind = kind_for(name)
    return kind.fetchable or kind.gathered is not None


def chosen_accounts(names: list[str] | None) -> list[StripeAccount]:
    try:
        accounts = [by_name(name) for name in names] if names else [a for a in configured() if a.secret_key]
    except UnknownAccount as error:
        raise CommandError(str(error))
    if not accounts:
        raise CommandError("No Stripe key is set (STRIPE_SECRET_KEY): there is nothing to ask.")
    return accounts


def wanted_of(options: dict[str, Any], accounts: list[StripeAccount]) -> Wanted:
    return Wanted(
        kinds=tuple(kind.name for kind in chosen_kinds(options["kinds"])),
        accounts=tuple(account.name for account in accounts),
        since=seconds_of(options["since"], timezone.now()) if options["since"] else None,
        customer=options["customer"],
        check=options["check"],
        thorough=options["thorough"],
    )


def chosen_kinds(names: list[str]) -> list[Kind]:
    """The kinds to resync, parents first whatever the order they were named in."""
    if not names:
        return listed_by_default()
    known = {kind.name for kind in listable()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(f"There is no kind {', '.join(unknown)}. The kinds are: {', '.join(sorted(known))}.")
    return [kind for kind in listable() if kind.name in names]


def seconds_of(when: str, now: datetime) -> int:
    """A date, a moment, or a span back from this full hour (so that the same words mean the same), as Unix seconds."""
    span = SPAN.fullmatch(when)
    if span:
        try:
            back = timedelta(hours=int(span[1]) * HOURS[span[2]])
            return int((now.replace(minute=0, second=0, microsecond=0) - back).timestamp())
        except OverflowError:
            raise CommandError(f"{when} ago is before all time.")
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        raise CommandError(f"{when} is no time. Write 2026-02-01, 2026-02-01T12:00, or 12h, 30d, 4w for a span back.")
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def plain(outcomes: dict[tuple[str, str], Outcome]) -> dict[str, Any]:
    """kind → counts; kinds of another account than the primary one under `kind@account`."""
    found: dict[str, Any] = {}
    for (owner, name), outcome in outcomes.items():
        counts = {change.value: outcome.counts[change.value] for change in SHOWN}
        found[label(owner, name)] = {"unavailable": outcome.unavailable} if outcome.unavailable else counts
    return found


def label(owner: str, name: str) -> str:
    return f"{name}@{owner}" if owner else name


def explain(error: Exception) -> str:
    """What went wrong and what to do, in a sentence; Stripe's own messages mask keys."""
    if isinstance(error, AlreadyRunning):
        return (
            "This resync is running already, in another process. Its place is kept: wait, or stop it and start again."
        )
    if isinstance(error, stripe.AuthenticationError):
        return f"Stripe refused the key ({error.user_message}). Check STRIPE_SECRET_KEY; what was done so far stays."
    if isinstance(error, stripe.APIConnectionError):
        return "Stripe cannot be reached. What was done so far stays: the same command goes on where it was."
    return f"{first_line(error)} What was done so far stays: the same command goes on where it was."
