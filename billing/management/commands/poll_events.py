"""`manage.py poll_events`: read Stripe's events API for what the other doors missed."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

import stripe
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.inbox.models import EventForm, PollCursor
from billing.inbox.poll import Polled, describe, poll, read_since
from billing.inbox.since import moment_of
from billing.stripe_accounts import StripeAccount, UnknownAccount, by_name, configured


class Command(BaseCommand):
    help = (
        "Read Stripe's events API, its snapshots and its thin events, and store what the other doors missed. "
        "Without --since it reads on where it last stopped, to the newest event; the beat does the same every minute."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", metavar="NAME", help="one configured account; default: all of them")
        parser.add_argument(
            "--since", metavar="WHEN", help="read everything since then: 2026-01-31, 36h, 7d; Stripe keeps 30 days"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what is missing, and store nothing")
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON and nothing else")

    def handle(self, *_args: object, **options: Any) -> None:
        rows = []
        for account in self.accounts(options["account"]):
            polled = self.read(account, options)
            rows.append({"account": account.name, "livemode": account.livemode, **asdict(polled)})
            if not options["json"]:
                self.stdout.write(sentence(account, polled, dry_run=options["dry_run"]))
        if options["json"]:
            self.stdout.write(json.dumps(rows))
        if any(row["error"] for row in rows):
            raise CommandError("Not everything could be read. What was read is stored; the next run goes on.")

    def accounts(self, name: str | None) -> list[StripeAccount]:
        try:
            chosen = configured() if name is None else (by_name(name),)
        except UnknownAccount as error:
            raise CommandError(str(error))
        return [account for account in chosen if account.secret_key]

    def read(self, account: StripeAccount, options: dict[str, Any]) -> Polled:
        """Both lists as one."""
        total = Polled(finished=True)
        for form in EventForm:
            polled = self.read_form(account, form, options)
            total.add(polled)
            total.finished &= polled.finished
            total.busy |= polled.busy
            total.error = total.error or polled.error
        return total

    def read_form(self, account: StripeAccount, form: EventForm, options: dict[str, Any]) -> Polled:
        if not options["since"] and not options["dry_run"]:
            return poll_to_the_end(account, form)
        try:
            given = options["since"]
            since = moment_of(given, now=timezone.now()) if given else read_until(account, form)
            return read_since(account, timezone.now, since=since, dry_run=options["dry_run"], form=form)
        except ValueError as error:
            raise CommandError(str(error))
        except stripe.StripeError as error:
            return Polled(error=describe(error))


def read_until(account: StripeAccount, form: EventForm) -> datetime | None:
    cursor = PollCursor.objects.filter(owner=account.name, livemode=account.livemode, form=form).first()
    return cursor.read_until if cursor else None


def poll_to_the_end(account: StripeAccount, form: EventForm) -> Polled:
    total = Polled()
    while True:
        polled = poll(account, timezone.now, form=form, grace_seconds=0)
        total.add(polled)
        total.finished, total.busy, total.error = polled.finished, polled.busy, polled.error
        if polled.finished or polled.busy or polled.error:
            return total


def sentence(account: StripeAccount, polled: Polled, *, dry_run: bool) -> str:
    who = f"{account.name or 'primary account'} ({'live' if account.livemode else 'test'})"
    if polled.busy:
        return f"{who}: another process is reading, or it failed a moment ago; try again in some minutes."
    if polled.error:
        return f"{who}: {polled.error}"
    new = "would be new" if dry_run else "new"
    examples = f" ({', '.join(polled.examples[:3])} …)" if polled.examples else ""
    return f"{who}: {polled.read} read, {polled.new} {new}{examples}."
