"""`python -m sandbox supported`: what is answered, as a table made from the routes.

`--markdown` prints it, `--write` puts it into README.md between its two marks.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from sandbox.discovery import discover
from sandbox.params import Ignored
from sandbox.routes import ROUTES, Route

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- supported: begin -->", "<!-- supported: end -->"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox supported", description="What the sandbox answers.")
    parser.add_argument("--markdown", action="store_true", help="print the table of README.md")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args(argv)
    if options.write:
        README.write_text(with_table(README.read_text()))
    elif options.markdown:
        sys.stdout.write(markdown())
    else:
        for route in _sorted():
            sys.stdout.write(f"{route.method:6} {route.path}\n")
    return 0


def with_table(text: str) -> str:
    """README's text with the table as the routes make it now. Raises ValueError when its marks are not there."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{markdown()}{END}{after}"


def markdown() -> str:
    """One row for each address: what can be done there, and which parameters are taken and have no effect."""
    rows = ["| address | what is answered | parameters without effect |", "|---|---|---|"]
    for path, routes in groupby(_sorted(), key=lambda route: route.path):
        same = list(routes)
        acts = "; ".join(f"{route.method} {_summary(route)}" for route in same)
        ignored = ", ".join(f"`{name}`" for name in dict.fromkeys(name for route in same for name in _ignored(route)))
        rows.append(f"| `{path}` | {acts} | {ignored} |")
    return "\n".join(rows) + "\n"


def _sorted() -> list[Route]:
    discover()
    return sorted(ROUTES, key=lambda route: (route.parts, route.method))


def _summary(route: Route) -> str:
    """The first sentence of the handler's docstring."""
    words = (route.handler.__doc__ or "").strip().split("\n")[0].rstrip(".")
    return words[:1].lower() + words[1:]


def _ignored(route: Route) -> Iterator[str]:
    return (name for name, param in sorted(route.params.items()) if isinstance(param, Ignored))
