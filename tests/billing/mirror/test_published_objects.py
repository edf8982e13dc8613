"""Each of Stripe's published example objects, as an event brings it: a row of its own kind, or kept whole."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.utils import timezone
from djstripe.models.base import StripeModel

from billing.inbox.intake import store_event
from billing.inbox.models import Door, InboxEvent, InboxState
from billing.mirror import inquiry
from billing.mirror.apply import mirror_due
from billing.mirror.fetch import Fetched
from billing.mirror.kinds import KINDS, MODEL_KINDS, Ref
from billing.mirror.write import stored_of
from billing.stripe_reading import FAR, LONG_AGO
from tests.billing.events import an_event

EXAMPLES = Path(__file__).parents[4] / "shared" / "stripe" / "fixtures3.json"
# Models of dj-stripe's that are no objects of Stripe's API: its keys, and a preview that has no id.
NONE_OF_STRIPES = {"APIKey", "UpcomingInvoice"}


def test_every_model_of_dj_stripe_has_its_kind():
    models = {model for model in apps.get_app_config("djstripe").get_models() if issubclass(model, StripeModel)}
    assert {model.__name__ for model in models - MODEL_KINDS.keys()} == NONE_OF_STRIPES


@cache
def published() -> dict[str, dict[str, Any]]:
    """The published objects that have an id, by their kind; none where they are not at hand."""
    if not EXAMPLES.exists():
        return {}
    resources = json.loads(EXAMPLES.read_text())["resources"]
    return {
        data["object"]: data
        for data in resources.values()
        if data.get("id") and data.get("object") and not data.get("deleted")
    }


@pytest.mark.skipif(not published(), reason="Stripe's published examples are not at hand")
@pytest.mark.django_db
def test_each_becomes_a_row_or_is_kept_whole(stripe, monkeypatch):
    monkeypatch.setattr(inquiry, "fetch_many", answer)
    objects = published()
    for number, (kind, data) in enumerate(sorted(objects.items())):
        given = {"id": f"evt_{number}", "type": f"{kind}.updated", "api_version": settings.STRIPE_API_VERSION}
        store_event(an_event(**given, data={"object": data}), door=Door.WEBHOOK, now=timezone.now())
    mirror_due(timezone.now, budget_seconds=60)
    left = InboxEvent.objects.exclude(state__in=[InboxState.MIRRORED, InboxState.STORED])
    assert list(left.values_list("type", "error")) == []
    refs = {Ref(kind, data["id"]) for kind, data in objects.items()} - {Ref("event", objects["event"]["id"])}
    assert {ref.kind for ref in refs - stored_of(refs).keys()} == set()
    assert len([kind for kind in objects if kind in KINDS]) > 40


def answer(refs: Any, *, account: Any) -> dict[Ref, Any]:
    """A Stripe that has a published object of each kind under whatever id, and nothing else."""
    return {ref: Fetched(ref, example(ref), LONG_AGO, FAR) for ref in refs}


def example(ref: Ref) -> dict[str, Any] | None:
    data = published().get(ref.kind)
    return None if data is None else {**data, "id": ref.id}
