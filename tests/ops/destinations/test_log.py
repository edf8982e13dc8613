"""The delivery log: kept for a while, and each request can be made once more."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ops.effects.destinations.acts import CannotReplay, replay, send_test
from ops.effects.destinations.log import KEPT_CHARACTERS, prune
from ops.effects.destinations.models import Came, DestinationRequest, Origin
from ops.effects.outcome import Done, Refused, Retry
from ops.models import StaffAct
from ops.tasks import prune_destination_log
from tests.ops.destinations.conftest import send
from tests.ops.destinations.server import Reply

DAY = timedelta(days=1)


def test_what_is_older_than_it_is_kept_goes(crm, settings):
    settings.DESTINATIONS_LOG_DAYS = 30
    now = timezone.now()
    for age in (29, 31, 90):
        send(crm, now=now - age * DAY)
    assert prune(now=now) == 2
    assert DestinationRequest.objects.get().at == now - 29 * DAY
    settings.DESTINATIONS_LOG_DAYS = 0
    assert prune(now=now + 900 * DAY) == 0
    settings.DESTINATIONS_LOG_DAYS = 28
    prune_destination_log()
    assert not DestinationRequest.objects.exists()


def test_a_request_is_made_once_more_with_its_body_parameters_and_key(server, make, olga):
    crm = make(endpoint=f"{server.url}/*")
    server.replies = [Reply(422), Reply(200)]
    assert isinstance(
        send(crm, parameters={"PathParameterValues": ["cus_1"], "HeaderParameters": {"X-A": "b"}}), Refused
    )
    first = DestinationRequest.objects.get()
    called = replay(first, now=timezone.now(), actor=olga, reason="They mended it.")
    assert isinstance(called.outcome, Done)
    was, again = server.received
    assert (again.path, again.body, again.headers["x-a"]) == (was.path, was.body, "b")
    assert again.headers["idempotency-key"] == was.headers["idempotency-key"]
    (row,) = called.requests
    assert (row.origin, row.replay_of, row.came) == (Origin.REPLAY, first, Came.DONE)
    act = StaffAct.objects.get()
    assert (act.act, act.subject_id, act.reason, act.actor) == (
        "destination-request:replay", "crm", "They mended it.", olga,
    )  # fmt: skip


def test_a_body_of_which_only_the_beginning_is_kept_is_not_sent_again(server, crm, olga):
    long = json.dumps({"a": "x" * (KEPT_CHARACTERS + 10)})
    assert isinstance(send(crm, long), Done)
    row = DestinationRequest.objects.get()
    assert (len(row.body), row.body_length, row.body_cut) == (KEPT_CHARACTERS, len(long), True)
    with pytest.raises(CannotReplay):
        replay(row, now=timezone.now(), actor=olga)
    assert len(server.received) == 1
    assert not StaffAct.objects.exists()


def test_a_destination_that_is_gone_leaves_its_log(server, crm):
    send(crm)
    crm.delete()
    row = DestinationRequest.objects.get()
    assert (row.destination, row.destination_name) == (None, "crm")
    with pytest.raises(CannotReplay):
        replay(row, now=timezone.now())


def test_a_test_goes_out_under_a_key_of_its_own_and_is_written_down(server, crm, olga):
    first = send_test(crm, body='{"a": 1}', parameters={}, now=timezone.now(), actor=olga, reason="New credentials.")
    send_test(crm, body="{}", parameters={}, now=timezone.now())
    assert isinstance(first.outcome, Done)
    assert server.received[0].json == {"a": 1}
    keys = {got.headers["idempotency-key"] for got in server.received}
    assert len(keys) == 2
    assert all(key.startswith("test:") for key in keys)
    assert StaffAct.objects.get().act == "destination:test"
    assert set(DestinationRequest.objects.values_list("origin", flat=True)) == {Origin.TEST}


# --- manage.py destinations


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("destinations", *words)
    return capsys.readouterr().out


def test_the_command_lists_destinations_with_their_health(make, capsys, server, settings):
    settings.DESTINATIONS_FAILURES = 1
    assert "There are no API destinations" in run(capsys, "list")
    crm = make()
    assert "crm  POST" in run(capsys, "list")
    server.replies = [Reply(500)]
    assert isinstance(send(crm), Retry)
    assert "open  Http500" in run(capsys, "list")
    (told,) = json.loads(run(capsys, "list", "--json"))
    assert (told["name"], told["state"], told["failures"], told["rate_limit"]) == ("crm", "open", 1, 300)


def test_the_command_sends_a_test(make, capsys, server):
    make(endpoint=f"{server.url}/*/x")
    said = ["--body", '{"a": 1}', "--path", "p q", "--query", "b=2=3", "--header", "X-C=4"]
    assert run(capsys, "test", "crm", *said).startswith('Done. {"status": 200')
    (got,) = server.received
    assert (got.path, got.json, got.headers["x-c"]) == ("/p%20q/x?b=2%3D3", {"a": 1}, "4")


def test_the_command_says_what_failed_and_ends_with_1(crm, capsys, server):
    server.replies = [Reply(404, "nothing here")]
    with pytest.raises(SystemExit) as ended:
        call_command("destinations", "test", "crm", "--json")
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"]["error"] == "Http404: The destination answered 404 Not Found."
    assert told["request"]["response"] == {**told["request"]["response"], "status": 404, "body": "nothing here"}


def test_the_command_shows_the_log_and_replays_from_it(crm, capsys, server):
    send(crm)
    assert "big-invoices:evt_1:crm" in run(capsys, "log", "crm")
    (line,) = run(capsys, "log", "crm", "--json").splitlines()
    assert run(capsys, "replay", str(json.loads(line)["id"])).startswith("Done.")
    assert len(server.received) == 2


@pytest.mark.parametrize(
    "words", [["test", "nobody"], ["log", "nobody"], ["replay", "999"], ["test", "crm", "--query", "no equals sign"]]
)
def test_the_command_says_what_is_not_there(crm, server, words):
    with pytest.raises(CommandError):
        call_command("destinations", *words)
    assert server.received == []
