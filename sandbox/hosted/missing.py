"""What is shown where nothing is."""

from starlette.responses import Response

from sandbox.hosted.words import choose, tools
from sandbox.pages import show
from sandbox.routes import PageRequest


def missing_page(request: PageRequest) -> Response:
    return show("missing.html", status=404, **tools(choose(None, request.languages)))
