"""Doors from outside into operations: an answer to a call of a workflow, by its token."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import clock
from ops.workflows import answers
from ops.workflows.answers import Answered
from ops.workflows.asl.written import LARGEST_PAYLOAD

STATUS = {Answered.TAKEN: 200, Answered.INVALID: 404, Answered.LATE: 410}
SENTENCES = {
    Answered.TAKEN: "Taken.",
    Answered.INVALID: "This token is nobody's. Check that it was copied whole.",
    Answered.LATE: "Nobody waits for this answer any more: it was given before, or too late.",
}


@csrf_exempt  # whoever has the token may answer; no cookie is looked at
@require_POST
def answer_call(request: HttpRequest, token: str) -> HttpResponse:
    """Answer a call with `{"result": …}`, `{"error": "Name", "cause": "…"}`, or `{"heartbeat": true}`."""
    given = body_of(request)
    if given is None:
        sentence = 'Send JSON: {"result": …}, {"error": "Name", "cause": "…"}, or {"heartbeat": true}; at most 256 KiB.'
        return JsonResponse({"message": sentence}, status=400)
    now = clock.now()
    if "result" in given:
        answered = answers.succeed(token, given["result"], now=now)
    elif "error" in given:
        answered = answers.fail(token, str(given["error"])[:256], str(given.get("cause") or "")[:32_768], now=now)
    else:
        answered = answers.heartbeat(token, now=now)
    return JsonResponse({"message": SENTENCES[answered]}, status=STATUS[answered])


def body_of(request: HttpRequest) -> dict[str, Any] | None:
    if len(request.body) > LARGEST_PAYLOAD:
        return None
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    known = isinstance(given, dict) and any(name in given for name in ("result", "error", "heartbeat"))
    return given if known else None
