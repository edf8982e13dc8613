"""What lets the front page's buttons post to `/_sandbox/…`: other sites may not, and a form gets a page back.

A form that sends `back` is led there with a sentence about what happened; everybody else gets the JSON.
"""

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from sandbox.hosted.index_words import sentence

OWN = "/_sandbox/"
SAFE = ("GET", "HEAD", "OPTIONS")


def is_foreign(method: str, path: str, headers: Mapping[str, str], base_url: str) -> bool:
    """Whether a page of another origin made a browser send this. Programs send neither header. Source: Fetch Metadata
    Request Headers (W3C)."""
    if method in SAFE or not path.startswith(OWN):
        return False
    origin = headers.get("origin")
    if origin is not None:
        return origin.lower() != base_url.lower()
    return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def answered(path: str, form: Mapping[str, object], response: Response) -> Response:
    """The redirect to the page that the form stands on, or the answer as it is."""
    back = str(form.get("back", ""))
    if not back.startswith("/") or back.startswith(("//", "/\\")):
        return response
    said = json.loads(bytes(response.body))
    good = response.status_code < 400
    told = sentence(path, said, form) if good else str(said["error"]["message"])
    return RedirectResponse(_with(back, "told" if good else "problem", told), status_code=303)


def _with(address: str, name: str, value: str) -> str:
    parts = urlsplit(address)
    kept = [(known, held) for known, held in parse_qsl(parts.query) if known not in ("told", "problem")]
    return parts._replace(query=urlencode([*kept, (name, value)])).geturl()
