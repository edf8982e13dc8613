"""HTTP in and out: who calls, which route, which parameters, the answer or the error, as Stripe gives them."""

import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.routing import Route as HttpRoute
from starlette.staticfiles import StaticFiles

from sandbox import API_VERSION, faults, front, idempotency, keys, refusals, routes, versions
from sandbox.clock import Clock
from sandbox.context import Context, Scope
from sandbox.discovery import discover
from sandbox.documents import random_text, render
from sandbox.engine import Engine
from sandbox.errors import ApiError, unrecognized_url
from sandbox.expand import expand
from sandbox.idempotency import Stored
from sandbox.json_text import dumps_indented
from sandbox.older_shapes import dressed
from sandbox.params import check, parse_form, parse_json
from sandbox.routes import PageRequest, Route
from sandbox.scheduler import Scheduler

METHODS = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]
VERSION = re.compile(r"20\d\d-\d\d-\d\d(\.[a-z]+)?(; ?\w+=v\d+)*", re.ASCII)
"""A date, since 2024 with a name, and the betas that the caller takes part in."""
CROSS_ORIGIN = {
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, PATCH, POST, DELETE",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Request-Id, Stripe-Manage-Version, Stripe-Should-Retry",
    "Access-Control-Max-Age": "300",
}
"""What lets a browser's script call the API with a publishable key from any page."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One request as plain values."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    id: str = field(default_factory=lambda: "req_" + random_text(14))

    @property
    def idempotency_key(self) -> str | None:
        return (self.headers.get("idempotency-key") or None) if self.method == "POST" else None

    @property
    def version(self) -> str:
        return self.headers.get("stripe-version") or API_VERSION


def create_app(engine: Engine) -> Starlette:
    """The ASGI application. The scheduler runs while the application does."""
    discover()

    async def serve(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        call = Call(
            method, request.url.path, request.url.query, request.headers, await request.body(),
            f"{request.url.scheme}://{request.url.netloc}",
        )  # fmt: skip
        return await anyio.to_thread.run_sync(answer, engine, call)

    scheduler = Scheduler(engine)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        scheduler.start()
        yield
        scheduler.stop()

    return Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
            HttpRoute("/{path:path}", serve, methods=METHODS),
        ],
        lifespan=lifespan,
    )


def answer(engine: Engine, call: Call) -> Response:
    """The whole way of one request, in a worker thread."""
    if call.method == "OPTIONS":
        return _welcome(call)
    if front.is_foreign(call.method, call.path, call.headers, call.base_url):
        refused = ApiError("Only the sandbox's own page may do this from a browser.", status=403)
        return _respond(call, Stored(403, _error_body(call, refused), call.id))
    offset = engine.clock.now() - engine.clock.wall()
    response = _answer(engine, call)
    _date(response, engine.clock, offset)
    if call.method == "POST" and call.path.startswith(front.OWN):
        return front.answered(call.path, _form(call), response)
    return response


def _date(response: Response, clock: Clock, offset: int) -> None:
    """Date the answer in the sandbox's time. Whoever asked reckons back from it by the time that the answer took:
    where time was made to leap meanwhile no date would be right, and there is none."""
    now = clock.now()
    if abs(now - clock.wall() - offset) <= 1:  # the two are read one after the other
        response.headers["Date"] = formatdate(now, usegmt=True)


def _form(call: Call) -> dict[str, Any]:
    """What a browser's form sent; nothing of other bodies."""
    typed = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return parse_form(call.body.decode(errors="replace")) if typed else {}


def _answer(engine: Engine, call: Call) -> Response:
    found = routes.match(*versions.address(call.version, call.method, call.path))
    try:
        if found and found[0] in routes.PAGES:
            return _answer_page(engine, call, *found)
        if found is None:
            _count_url(engine, call)
            raise unrecognized_url(call.method, call.path)
        return _answer_route(engine, call, *found)
    except ApiError as error:
        return _respond(call, Stored(error.status, _error_body(call, error), call.id))
    except Exception:
        log.exception("%s %s failed", call.method, call.path)
        broken = ApiError("An unexpected error occurred in the sandbox; its log tells more.", type="api_error")
        return _respond(call, Stored(500, _error_body(call, broken), call.id))


def _welcome(call: Call) -> Response:
    """What a browser asks before it sends a script's call."""
    asked = call.headers.get("access-control-request-headers")
    return Response(headers=CROSS_ORIGIN | ({"Access-Control-Allow-Headers": asked} if asked else {}))


def _answer_route(engine: Engine, call: Call, route: Route, values: dict[str, str]) -> Response:
    with engine.store.read() as tx:
        caller = keys.identify(call.headers.get("authorization"), tx)
        keys.permit(caller, route, tx)
        watching = faults.for_call(tx, str(caller.scope), call.method, call.path)
    keys.check_account_header(caller, call.headers.get("stripe-account"))
    _check_version(call)
    if not watching:
        return _do(engine, call, route, values, caller)
    with engine.store.write() as tx:
        trouble = refusals.trouble(faults.draw(tx, watching))
    return _do_with(trouble, engine, call, route, values, caller)


def _do_with(
    trouble: refusals.Trouble, engine: Engine, call: Call, route: Route, values: dict[str, str], caller: keys.Caller
) -> Response:
    """The answer with what a fault does to it."""
    if trouble.refusal is None:
        response = _do(engine, call, route, values, caller)
    else:
        if trouble.done:
            with contextlib.suppress(ApiError):
                _do(engine, call, route, values, caller)
        response = _respond(call, Stored(trouble.refusal.status, _error_body(call, trouble.refusal), call.id))
        response.headers.update(refusals.headers(trouble.refusal))
    return refusals.LateResponse(response, trouble.delay) if trouble.delay else response


def _do(engine: Engine, call: Call, route: Route, values: dict[str, str], caller: keys.Caller) -> Response:
    raw = versions.read(call.version, call.method, call.path, _parameters(call))
    if call.idempotency_key is None:
        return _respond(call, _run(engine, call, route, values, caller, raw))
    idempotency.check_length(call.idempotency_key)
    with engine.in_flight.claim(str(caller.scope), call.idempotency_key):
        stored = _recall(engine, call, caller.scope, raw)
        if stored:
            return _respond(call, stored, replayed=True)
        return _respond(call, _run(engine, call, route, values, caller, raw))


def _recall(engine: Engine, call: Call, scope: Scope, raw: dict[str, Any]) -> Stored | None:
    with engine.store.read() as tx:
        return idempotency.recall(
            tx,
            scope=str(scope),
            key=call.idempotency_key or "",
            path=call.path,
            raw=raw,
            now=engine.clock.now(),
        )


def _run(
    engine: Engine, call: Call, route: Route, values: dict[str, str], caller: keys.Caller, raw: dict[str, Any]
) -> Stored:
    """Check the parameters, then do it: object changes, events and the stored answer commit together."""
    ignored: list[str] = []
    params = check(route.params, raw, ignored)
    for name in ignored:
        _count(engine, "parameter", f"{route.method} {route.path} {name}")
    writes = route.writes(values)
    transaction = engine.store.write() if writes else engine.store.read()
    with transaction as tx:
        ctx = Context(
            tx,
            engine.clock.now(),
            caller.scope,
            call.base_url,
            call.id,
            call.idempotency_key,
            caller.publishable,
            call.version,
        )
        result = _handle(ctx, call, route, values, params)
        if call.idempotency_key:
            idempotency.remember(
                tx, result, scope=ctx.scope, key=call.idempotency_key, path=call.path, raw=raw, now=ctx.sandbox_now
            )
    if writes:
        engine.work.set()
    return result


def _handle(ctx: Context, call: Call, route: Route, values: dict[str, str], params: dict[str, Any]) -> Stored:
    ctx.tx.sql("SAVEPOINT handler")
    try:
        paths = params.pop("expand", None) or []
        made = dressed(ctx, _shown(route.handler(ctx, params, **values)))
        ctx.tx.forget()
        shown = expand(ctx, made, paths)
    except ApiError as error:
        if not error.keeps_changes:
            ctx.tx.sql("ROLLBACK TO handler")
        return Stored(error.status, _error_body(call, error), call.id)
    return Stored(200, dumps_indented(shown), call.id)


def _shown(doc: dict[str, Any]) -> dict[str, Any]:
    if doc.get("object") in ("list", "search_result"):
        return doc | {"data": [render(item) for item in doc["data"]]}
    return render(doc)


def _answer_page(engine: Engine, call: Call, route: Route, values: dict[str, str]) -> Response:
    try:
        languages = call.headers.get("accept-language", "")
        request = PageRequest(parse_form(call.query), _body_fields(call), call.base_url, languages)
        if route in routes.ACTS:
            result = route.handler(engine, request, **values)
        else:
            result = _page(engine, call, route, request, values)
    except ApiError as error:
        return Response(_error_body(call, error), status_code=error.status, media_type="application/json")
    if route.method != "GET":
        engine.work.set()
    if isinstance(result, Response):
        return result
    return Response(json.dumps(result, indent=2, ensure_ascii=False), media_type="application/json")


def _page(engine: Engine, call: Call, route: Route, request: PageRequest, values: dict[str, str]) -> Any:
    with engine.store.read() if route.method == "GET" else engine.store.write() as tx:
        ctx = engine.context(tx, Scope(keys.DEFAULT_ACCOUNT, livemode=False))
        ctx.base_url = call.base_url
        return route.handler(ctx, request, **values)


def _body_fields(call: Call) -> dict[str, Any]:
    if "json" in call.headers.get("content-type", ""):
        try:
            fields = json.loads(call.body or b"{}")
        except ValueError:
            raise ApiError("The body is not JSON.") from None
        return fields if isinstance(fields, dict) else {}
    return parse_form(call.body.decode(errors="replace"))


def _parameters(call: Call) -> dict[str, Any]:
    """Query and form fields. A body of another type is refused as Stripe refuses it."""
    raw = parse_form(call.query)
    if call.body and call.path.startswith("/v2/"):
        return raw | parse_json(_text(call.body))
    if call.body:
        if not call.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            raise ApiError(
                "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you "
                "have any questions, we can help at https://support.stripe.com/."
            )
        raw |= parse_form(_text(call.body))
    return raw


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ApiError("Invalid request: the body is not valid UTF-8.") from None


def _check_version(call: Call) -> None:
    version = call.headers.get("stripe-version")
    if version and not VERSION.fullmatch(version):
        raise ApiError(f"Invalid Stripe API version: {version}. You do not have permission to pass this version.")


def _respond(call: Call, stored: Stored, *, replayed: bool = False) -> Response:
    headers = CROSS_ORIGIN | {
        "Request-Id": call.id,
        "Stripe-Version": call.version,
        "Cache-Control": "no-cache, no-store",
    }
    if call.idempotency_key:
        headers |= {"Idempotency-Key": call.idempotency_key, "Original-Request": stored.request_id}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if stored.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Stripe"'
    return Response(stored.body, status_code=stored.status, headers=headers, media_type="application/json")


def _error_body(call: Call, error: ApiError) -> str:
    address = f"https://dashboard.stripe.com/test/logs/{call.id}"
    return dumps_indented({"error": dict(sorted((error.body() | {"request_log_url": address}).items()))})


def _count_url(engine: Engine, call: Call) -> None:
    if call.path.startswith(("/v1/", "/v2/")):
        _count(engine, "url", f"{call.method} {call.path}")


def _count(engine: Engine, what: str, name: str) -> None:
    """Remember what was asked for in vain; GET /_sandbox/unsupported shows it."""
    log.warning("not supported: %s", name)
    now = engine.clock.now()
    with engine.store.write() as tx:
        tx.sql(
            "INSERT INTO unsupported VALUES (?,?,1,?) ON CONFLICT (what, name) DO UPDATE SET count=count+1, last_at=?",
            what, name, now, now,
        )  # fmt: skip
