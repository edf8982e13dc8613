"""The backtest as it comes over ASGI: piece by piece, and at an end when the browser goes away."""

import json
from collections.abc import Callable, Generator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from ops.console import rule_backtest
from ops.rules.backtest import Trial, backtest
from ops.rules.tally import Snapshot
from tests.ops.rows import make_event

pytestmark = pytest.mark.django_db(transaction=True)
TYPED = {"pattern": '{"source": ["stripe.com"]}', "period": "7", "target-TOTAL_FORMS": "0", "target-INITIAL_FORMS": "0"}


def answered(user: Any, look: Callable[[Any], Any]) -> Any:
    async def ask() -> Any:
        client = AsyncClient()
        await client.aforce_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        answer: Any = await client.post(reverse("admin:ops_rule_backtest"), TYPED)
        assert answer["Content-Type"] == "text/event-stream"
        return await look(aiter(answer.streaming_content))

    return async_to_sync(ask)()


def test_frames_come_one_by_one(olga):
    make_event(timezone.now())

    async def all_of(frames: Any) -> list[bytes]:
        return [frame async for frame in frames]

    *_before, last = answered(olga, all_of)
    assert "1 of 1 events would have matched" in json.loads(last.removeprefix(b"data: "))


def test_when_the_browser_goes_away_the_work_ends(olga, monkeypatch):
    ended = []

    def endless(trial: Trial) -> Generator[Snapshot, None, None]:
        (last,) = backtest(trial)
        try:
            while True:
                yield last
        finally:
            ended.append(True)

    monkeypatch.setattr(rule_backtest, "backtest", endless)

    async def only_two(frames: Any) -> None:
        for _frame in range(2):
            await anext(frames)
        assert not ended
        await frames.aclose()

    answered(olga, only_two)
    assert ended == [True]
