"""Answers that come in pieces: fragments of a page, each in place of the one before, while the work goes on."""

import json
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation

Frames = Generator[bytes, None, None]


class Viewer:
    """Who looks on. A stream is read after the middleware has put language and zone back: it brings its own."""

    def __init__(self) -> None:
        self.language, self.zone = translation.get_language(), timezone.get_current_timezone()

    def frame(self, template: str, context: dict[str, Any]) -> bytes:
        """Return a fragment as an event of a stream; `static/ops/console.js` reads it."""
        with translation.override(self.language), timezone.override(self.zone):
            html = render_to_string(template, context)
        return f"data: {json.dumps(html)}\n\n".encode()


def stream(request: HttpRequest, frames_of: Callable[[Viewer], Frames]) -> StreamingHttpResponse:
    """Answer with the frames as they are made; the work ends when the browser goes away."""
    frames = frames_of(Viewer())
    body: Any = in_background(frames) if isinstance(request, ASGIRequest) else frames
    response = StreamingHttpResponse(body, content_type="text/event-stream")
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response


async def in_background(frames: Frames) -> AsyncGenerator[bytes, None]:
    """Make each frame in a thread. Where the browser goes away this is cancelled between two of them."""
    try:
        while (frame := await sync_to_async(following)(frames)) is not None:
            yield frame
    finally:
        await sync_to_async(end)(frames)


def following(frames: Frames) -> bytes | None:
    return next(frames, None)


def end(frames: Frames) -> None:
    frames.close()
    close_old_connections()
