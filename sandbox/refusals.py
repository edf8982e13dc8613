"""What a caller gets in place of the answer when a fault has struck: a refusal, silence, or the answer late."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.errors import ApiError
from sandbox.faults import Effect, Rule

REFUSALS = {
    Effect.RATE_LIMIT: (
        429, "invalid_request_error", "rate_limit",
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
    ),
    Effect.SERVER_ERROR: (
        500, "api_error", None, "An unknown error occurred. This error was asked for with /_sandbox/faults.",
    ),
    Effect.TIMEOUT: (
        504, "api_error", None, "The request took too long. This time-out was asked for with /_sandbox/faults.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """`refusal` takes the place of the answer, `done` says whether the call is carried out before."""

    refusal: ApiError | None = None
    done: bool = False
    delay: float = 0.0


def trouble(struck: Sequence[Rule]) -> Trouble:
    """The oldest refusing rule decides; delays add up. Pure."""
    delay = sum(rule.seconds for rule in struck if rule.effect == Effect.LATENCY)
    for rule in struck:
        if rule.effect in REFUSALS:
            late = rule.seconds if rule.effect == Effect.TIMEOUT else 0.0
            done = rule.when == "after" and rule.effect != Effect.RATE_LIMIT
            return Trouble(_refusal(rule.effect), done, delay + late)
    return Trouble(delay=delay)


def _refusal(effect: Effect) -> ApiError:
    status, type, code, message = REFUSALS[effect]
    return ApiError(message, status=status, type=type, code=code)


def headers(refusal: ApiError) -> dict[str, str]:
    """Source: Stripe docs, "Rate limits" and "Advanced error handling"."""
    found = {"Stripe-Should-Retry": "true"}
    return found | {"Stripe-Rate-Limited-Reason": "global-rate"} if refusal.status == 429 else found


class LateResponse(Response):
    """Begins after `delay` seconds, unless the caller has hung up by then."""

    def __init__(self, answer: Response, delay: float) -> None:
        super().__init__(status_code=answer.status_code)
        self.body, self.raw_headers, self.delay = answer.body, answer.raw_headers, delay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.move_on_after(self.delay):
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await super().__call__(scope, receive, send)
