"""The outer edge of a measurement: an API that answers each address with what it was told, at once or later.

BENCH_ANSWERS names a JSON file of addresses and objects; BENCH_DELAY says how many seconds each answer takes.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

ANSWERS = {
    path: json.dumps(data).encode() for path, data in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text()).items()
}
DELAY = float(os.environ.get("BENCH_DELAY", "0"))
UNKNOWN = b'{"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such object"}}'


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if DELAY:
        await asyncio.sleep(DELAY)
    body = ANSWERS.get(scope["path"])
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200 if body else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body or UNKNOWN})
