"""`manage.py destinations`: what there is and how it fares, a test, the log, one request once more."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ops.effects.destinations.acts import CannotReplay, replay, send_test
from ops.effects.destinations.breaker import health_of
from ops.effects.destinations.invoke import Called
from ops.effects.destinations.models import Destination, DestinationRequest
from ops.effects.destinations.shape import HEADERS, PATH, QUERY
from ops.effects.outcome import Done, Retry


class Command(BaseCommand):
    help = "List API destinations, send a test to one, read its log, make a logged request once more."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        said = verbs.add_parser("list", help="what there is, and how it fares")
        said.add_argument("--json", action="store_true", help="print JSON and nothing else")
        test = verbs.add_parser("test", help="call one as a rule would; ends with 1 where it is not done")
        test.add_argument("name")
        test.add_argument("--body", default="{}", help="the text that goes out (default: {})")
        test.add_argument("--path", action="append", default=[], help="a path value, for each * of the endpoint")
        test.add_argument("--query", action="append", default=[], metavar="NAME=VALUE")
        test.add_argument("--header", action="append", default=[], metavar="NAME=VALUE")
        test.add_argument("--json", action="store_true", help="print JSON and nothing else")
        log = verbs.add_parser("log", help="its last requests, newest first")
        log.add_argument("name")
        log.add_argument("--limit", type=int, default=20)
        log.add_argument("--json", action="store_true", help="print JSON and nothing else, bodies too")
        again = verbs.add_parser("replay", help="make a logged request once more, under the same idempotency key")
        again.add_argument("request", type=int, help="its number in the log")
        again.add_argument("--json", action="store_true", help="print JSON and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['verb']}")(options)

    def do_list(self, options: dict[str, Any]) -> None:
        rows = [told(destination) for destination in Destination.objects.select_related("connection", "health")]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            line = f"{row['name']}  {row['method']} {row['endpoint']}  {row['rate_limit']}/s  {row['state']}"
            self.stdout.write(line + (f"  {row['last_error']}" if row["state"] != "closed" else ""))
        if not rows:
            self.stdout.write("There are no API destinations. Make one in the console.")

    def do_test(self, options: dict[str, Any]) -> None:
        parameters = {PATH: options["path"], QUERY: named(options["query"]), HEADERS: named(options["header"])}
        destination = found(options["name"])
        called = send_test(destination, body=options["body"], parameters=parameters, now=timezone.now())
        self.tell(called, as_json=options["json"])

    def do_log(self, options: dict[str, Any]) -> None:
        found(options["name"])
        rows = DestinationRequest.objects.filter(destination_name=options["name"]).order_by("-at", "-pk")
        for row in rows[: options["limit"]]:
            if options["json"]:
                self.stdout.write(json.dumps(logged(row)))
            else:
                status = row.status or "–"
                self.stdout.write(f"{row.pk}  {row.at:%Y-%m-%d %H:%M:%S}  {row.came}  {status}  {row.key}  {row.error}")

    def do_replay(self, options: dict[str, Any]) -> None:
        row = DestinationRequest.objects.select_related("destination__connection").filter(pk=options["request"]).first()
        if row is None:
            raise CommandError(f"There is no request {options['request']} in the log.")
        try:
            called = replay(row, now=timezone.now())
        except CannotReplay as error:
            raise CommandError(f"{error} Nothing was sent.") from error
        self.tell(called, as_json=options["json"])

    def tell(self, called: Called, *, as_json: bool) -> None:
        if as_json:
            last = called.requests[-1] if called.requests else None
            self.stdout.write(json.dumps({"outcome": told_outcome(called), "request": logged(last) if last else None}))
        elif isinstance(called.outcome, Done):
            self.stdout.write(f"Done. {json.dumps(called.outcome.result, ensure_ascii=False)}")
        else:
            self.stdout.write(called.outcome.error)
        if not isinstance(called.outcome, Done):
            raise SystemExit(1)


def found(name: str) -> Destination:
    destination = Destination.objects.select_related("connection").filter(name=name).first()
    if destination is None:
        raise CommandError(f"There is no API destination {name}. `manage.py destinations list` shows what there is.")
    return destination


def named(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise CommandError(f"{wrong[0]!r} is not NAME=VALUE. Nothing was sent.")
    return dict(pair.split("=", 1) for pair in pairs)


def told(destination: Destination) -> dict[str, Any]:
    health = health_of(destination)
    return {
        "name": destination.name,
        "connection": destination.connection.name,
        "method": destination.method,
        "endpoint": destination.endpoint,
        "rate_limit": destination.rate_limit,
        "signed": destination.signed,
        "state": health.state(timezone.now()).value,
        "failures": health.failures,
        "last_success_at": health.last_success_at.isoformat() if health.last_success_at else None,
        "last_error": health.last_error,
    }


def logged(row: DestinationRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "key": row.key,
        "origin": row.origin,
        "outcome": row.came,
        "error": row.error,
        "request": {
            "method": row.method,
            "url": row.url,
            "headers": row.headers,
            "body": row.sent_body or row.body,
        },
        "response": {"status": row.status, "headers": row.answer_headers, "body": row.answer, "cut": row.answer_cut},
        "milliseconds": row.milliseconds,
    }


def told_outcome(called: Called) -> dict[str, Any]:
    outcome = called.outcome
    if isinstance(outcome, Done):
        return {"kind": "done", "result": outcome.result}
    after = outcome.after.total_seconds() if isinstance(outcome, Retry) and outcome.after else None
    return {"kind": "retry" if isinstance(outcome, Retry) else "refused", "error": outcome.error, "after": after}
