"""`manage.py mirror_kinds`: which kinds of Stripe objects the mirror holds, where, and how many."""

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from billing.mirror.counts import KindCount, counts
from billing.mirror.kinds import KINDS, RAW, Kind

HEAD = ("kind", "kept in", "asked for under", "listed")


class Command(BaseCommand):
    help = "Show the kinds of Stripe objects that the mirror holds, where they are kept, and how many there are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the kinds as JSON and nothing else")
        parser.add_argument("--markdown", action="store_true", help="print docs/kinds.md; asks no database")

    def handle(self, *_args: object, **options: Any) -> None:
        if options["markdown"]:
            self.stdout.write(as_markdown([*KINDS.values(), *RAW.values()]), ending="")
        elif options["json"]:
            self.stdout.write(json.dumps([plain(count) for count in counts()]))
        else:
            out: Any = self.stdout
            Console(file=out).print(table_of(counts()))


def described(kind: Kind) -> tuple[str, str, str, str]:
    """The cells of a kind's row, in the order of HEAD."""
    place = kind.model._meta.label if kind.model is not None else "billing.RawObject"
    return kind.name, place, how_asked(kind), how_listed(kind)


def how_asked(kind: Kind) -> str:
    if kind.gathered:
        return f"{kind.gathered.path}?{kind.gathered.param}={{id}}"
    return f"{kind.path}/{{id}}" if kind.fetchable else ""


def how_listed(kind: Kind) -> str:
    if kind.under is not None:
        return f"for each {kind.under.kind}"
    return "" if kind.listing is None else "as a whole"


def plain(count: KindCount) -> dict[str, Any]:
    cells = dict(zip(("kind", "model", "path", "listed"), described(count.kind), strict=True))
    return {**cells, "rows": count.rows, "exact": count.exact}


def table_of(found: Iterable[KindCount]) -> Table:
    table = Table()
    table.add_column("kind", no_wrap=True)
    table.add_column("kept in", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    for count in found:
        name, place, _asked, _listed = described(count.kind)
        table.add_row(name, place, f"{'' if count.exact else '≈ '}{count.rows:,}" if count.rows else "·")
    return table


def as_markdown(kinds: Iterable[Kind]) -> str:
    rows = [HEAD, ("---",) * len(HEAD)]
    for kind in kinds:
        name, place, asked, listed = described(kind)
        rows.append((f"`{name}`", f"`{place}`", f"`{asked}`" if asked else "", listed))
    return INTRODUCTION + "".join(f"| {' | '.join(row)} |\n" for row in rows)


INTRODUCTION = """# Kinds of Stripe objects in the mirror

Made by `manage.py mirror_kinds --markdown`; a test compares it. `manage.py mirror_kinds` shows how many there are.

Kinds that dj-stripe has a model for are rows of that model. All others are kept whole in `billing.RawObject`, also
those that are not listed here, as soon as an event brings one. Where nothing stands under *asked for under*, Stripe
answers no single object of the kind: it comes with events, or inside another object. To add a kind, add one line to
`billing/mirror/kinds.py`.

"""
