"""`/_sandbox/event_destinations`: where events go besides webhooks: a bus of Amazon EventBridge, as moto plays it."""

from urllib.parse import urlsplit

from sandbox import eventbridge, keys, objects
from sandbox.context import Context, Scope
from sandbox.documents import render
from sandbox.engine import Engine
from sandbox.errors import ApiError, missing
from sandbox.kinds import Doc
from sandbox.routes import PageRequest, act, page

DEFAULTS = {"bus": "stripe-events", "queue": "stripe-events", "region": "us-east-1"}


@page("GET", "/_sandbox/event_destinations")
def list_destinations(ctx: Context, request: PageRequest) -> Doc:
    """Buses that events are put on, newest first"""
    scopes = ctx.tx.sql("SELECT DISTINCT scope FROM objects WHERE kind='event_destination'").fetchall()
    return {"data": [render(doc) for (scope,) in scopes for doc in ctx.tx.page(scope, "event_destination")]}


@act("POST", "/_sandbox/event_destinations")
def add_destination(engine: Engine, request: PageRequest) -> Doc:
    """A bus with a rule and a queue on AWS: {"url", "bus"?, "queue"?, "region"?, "enabled_events"?, "key"?}. The
    same place again is the same destination."""
    given = request.form
    if not given.get("url"):
        raise missing("url")
    with engine.store.read() as tx:
        key = given.get("key")
        scope = keys.identify(f"Bearer {key}", tx).scope if key else Scope(keys.DEFAULT_ACCOUNT, livemode=False)
    named = {name: str(given[name]) for name in DEFAULTS if given.get(name)}
    return send_to(engine, scope, str(given["url"]), named, given.get("enabled_events") or ["*"])


def send_to(engine: Engine, scope: Scope, url: str, named: dict[str, str], events: list[str]) -> Doc:
    """Everything is made on AWS first, and stored then. `named` may have what DEFAULTS has. Raises ApiError when nobody
    answers there."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ApiError("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    names = DEFAULTS | named
    place = " ".join([url, *names.values()])
    with engine.store.read() as tx:
        known = tx.page(str(scope), "event_destination", {"_place": place}, limit=1)
    id = known[0]["id"] if known else eventbridge.new_id()
    try:
        made = eventbridge.set_up(id, url=url, **names)
    except Exception as error:
        raise ApiError(f"The AWS at {url} cannot be used: {error}", param="url") from error
    with engine.store.write() as tx:
        ctx = engine.context(tx, scope)
        fields = made | {"enabled_events": events, "status": "enabled", "_place": place}
        if known:
            return render(objects.update(ctx, known[0], fields))
        return render(objects.create(ctx, "event_destination", {"id": id, **fields}))


@page("DELETE", "/_sandbox/event_destinations/{id}")
def delete_destination(ctx: Context, request: PageRequest, id: str) -> Doc:
    """Put no more events there; what is on AWS stays"""
    scope = ctx.tx.locate("event_destination", id)
    if scope is None:
        raise ApiError(f"No such event destination: '{id}'", status=404)
    ctx.enter(scope)
    return objects.delete(ctx, objects.load(ctx, "event_destination", id, in_path=True))
