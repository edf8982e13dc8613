"""A page beside moto's: the stacks and what became of them, and a button that makes the next builds fail."""

import json
from collections.abc import Callable, Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qs

from config.demo.aws.lives import Lives

PLACE = "/_stacks"
MOST = 20  # builds that may be made to fail
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Stacks</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2">
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;
padding:0 1rem}}table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.25rem .75rem .25rem 0;
vertical-align:top;overflow-wrap:anywhere}}button{{font:inherit;padding:.4rem .8rem;margin-right:.5rem}}</style>
<h1>Stacks</h1><p>{sentence}</p>
<form method="post" action="/_stacks/fail">{buttons}</form>
<table><tr><th>At (UTC)<th>Stack<th>Status<th>Why</tr>{rows}</table></html>"""

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def with_page(app: Wsgi, lives: Lives) -> Wsgi:
    """Answer below `/_stacks`, and hand everything else on.

    `POST /_stacks/fail` with `times=3` makes the next three builds fail; `GET /_stacks/json` tells all.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "GET")
        if path.rstrip("/") != PLACE and not path.startswith(f"{PLACE}/"):
            return app(environ, start)
        if method == "POST" and path == f"{PLACE}/fail":
            return fail(environ, start, lives)
        if path == f"{PLACE}/json":
            return told(start, "200 OK", json.dumps(state_of(lives)), "application/json")
        return told(start, "200 OK", page(lives))

    return answer


def fail(environ: dict[str, Any], start: Callable[..., Any], lives: Lives) -> list[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    times = parse_qs(environ["wsgi.input"].read(min(length, 1000)).decode(errors="replace")).get("times", [""])[0]
    if not times.isdecimal() or int(times) > MOST:
        return told(start, "400 Bad Request", f"times is a number from 0 to {MOST}.", "text/plain")
    lives.fail_next(int(times))
    start("303 See Other", [("Location", f"{PLACE}/")])
    return [b""]


def told(start: Callable[..., Any], status: str, text: str, kind: str = "text/html; charset=utf-8") -> list[bytes]:
    start(status, [("Content-Type", kind), ("Cache-Control", "no-store")])
    return [text.encode()]


def state_of(lives: Lives) -> dict[str, Any]:
    changes = [{**vars(change), "at": change.at.isoformat()} for change in lives.changes]
    return {"failing": lives.failing, "changes": changes}


def page(lives: Lives) -> str:
    labels = {1: "Next build fails", 3: "Next three builds fail", 0: "No build fails"}
    buttons = (f'<button name="times" value="{times}">{label}</button>' for times, label in labels.items())
    rows = (
        f"<tr><td>{change.at:%H:%M:%S}<td>{escape(change.stack.split('/')[1])}<td>{change.status}"
        f"<td>{escape(change.reason)}</tr>"
        for change in reversed(lives.changes)
    )
    sentence = "Builds succeed."
    if lives.failing:
        sentence = "The next build fails." if lives.failing == 1 else f"The next {lives.failing} builds fail."
    return PAGE.format(sentence=sentence, buttons="".join(buttons), rows="".join(rows))
