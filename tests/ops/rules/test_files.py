"""Files are the source of rules; what people edit here is never overwritten unseen."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from ops.models import Delivery, DeliveryState, Match, Rule, RuleState, RuleVersion, StaffAct
from ops.rules import files
from ops.rules.documents import document_of
from ops.rules.edit import save_rule, set_state
from ops.rules.merging import Stand, compare
from ops.rules.resources import FINDING_ARN
from tests.ops.rules.made import finding_target, make_rule, paid_invoice

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def playbooks(tmp_path: Path, settings) -> Path:
    settings.PLAYBOOKS_DIRECTORY = str(tmp_path)
    return tmp_path


def a_file(**changes: Any) -> dict[str, Any]:
    return {
        "Name": "large",
        "EventPattern": {"detail-type": ["invoice.paid"]},
        "Targets": [{"Id": "tell", "Arn": FINDING_ARN, "Input": '{"title": "Paid"}'}],
        **changes,
    }


def put(playbooks: Path, document: Any, path: str = "invoices/rules/large.json") -> Path:
    place = playbooks / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(document if isinstance(document, str) else json.dumps(document))
    return place


def rules(*words: str) -> Any:
    out = StringIO()
    try:
        call_command("rules", *words, "--json", stdout=out)
    except SystemExit as end:
        assert end.code == 1
    return json.loads(out.getvalue())


def said(*words: str) -> str:
    out = StringIO()
    call_command("rules", *words, stdout=out)
    return out.getvalue()


def stand() -> str:
    [entry] = rules("list")
    return str(entry["stand"])


def test_applying_makes_rules_and_again_does_nothing(playbooks: Path) -> None:
    put(playbooks, a_file())
    assert stand() == "new"
    assert rules("apply", "--dry-run")[0]["did"] == "made"
    assert not Rule.objects.exists()
    rules("apply", "--reason", "first release")
    rule = Rule.objects.get()
    assert (rule.state, rule.version, rule.path) == (RuleState.OFF, 1, "invoices/rules/large.json")
    assert RuleVersion.objects.get().reason == "first release"
    assert rules("apply") == [{"name": "large", "did": "kept", "parts": []}]
    assert (stand(), RuleVersion.objects.count()) == ("same", 1)
    assert said("diff") == "Files and rules say the same.\n"


def test_a_changed_file_changes_its_part_and_leaves_what_was_edited_here(playbooks: Path, olga: User) -> None:
    put(playbooks, a_file())
    rules("apply")
    rule = set_state(Rule.objects.get(), RuleState.ON, actor=olga, reason="go", now=NOW).rule
    assert stand() == "edited"
    rules("apply")
    put(playbooks, a_file(Description="Large ones."))
    assert stand() == "both"
    [entry] = rules("diff")
    assert (entry["file"], entry["here"], entry["conflicts"]) == (["Description"], ["State"], [])
    assert rules("apply") == [{"name": "large", "did": "changed", "parts": ["Description"]}]
    rule.refresh_from_db()
    assert (rule.state, rule.notes, rule.on_since) == (RuleState.ON, "Large ones.", NOW)
    assert stand() == "edited"


def test_what_both_changed_is_refused_and_said_with_who_and_why(playbooks: Path, olga: User) -> None:
    put(playbooks, a_file())
    rules("apply")
    rule = Rule.objects.get()
    here = document_of(rule) | {"Description": "mended at night"}
    save_rule(here, rule=rule, actor=olga, reason="It was wrong.", now=NOW)
    put(playbooks, a_file(Description="from the file"))
    with pytest.raises(CommandError, match=r"Description was changed in the file and here(.|\n)*It was wrong"):
        said("apply")
    rule.refresh_from_db()
    assert rule.notes == "mended at night"
    rules("apply", "--force")
    rule.refresh_from_db()
    assert (rule.notes, stand()) == ("from the file", "same")
    assert RuleVersion.objects.filter(document__Description="mended at night").exists(), "the edit is in the history"


def test_an_edit_goes_into_the_file_and_is_none_any_more(playbooks: Path, olga: User) -> None:
    place = put(playbooks, a_file())
    rules("apply")
    set_state(Rule.objects.get(), RuleState.TRIAL, actor=olga, reason="try", now=NOW)
    assert rules("export", "--dry-run") == [{"file": "invoices/rules/large.json", "changed": True}]
    assert json.loads(place.read_text()) == a_file()
    rules("export")
    assert json.loads(place.read_text()) == a_file(State="TRIAL")
    assert stand() == "same"


def test_a_rule_of_the_console_gets_a_file(playbooks: Path, olga: User) -> None:
    save_rule(a_file(), actor=olga, reason="x", now=NOW)
    assert stand() == "console"
    rules("export")
    assert files.read_files()[0].path == "console/rules/large.json"
    assert stand() == "same"


def test_a_rule_whose_file_is_gone_is_removed_only_when_that_is_said(playbooks: Path) -> None:
    place = put(playbooks, a_file())
    rules("apply")
    place.unlink()
    assert stand() == "no-file"
    assert rules("apply")[0]["did"] == "kept"
    assert rules("apply", "--prune", "--dry-run")[0]["did"] == "removed"
    assert Rule.objects.exists()
    rules("apply", "--prune")
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    "text", ['{"Name": "large",', "[]", '{"Name": "large", "EventPattern": {"source": []}}', "\x00"]
)
def test_a_bad_file_applies_nothing_and_says_where(playbooks: Path, text: str) -> None:
    put(playbooks, a_file(Name="good"), "a/rule.json")
    put(playbooks, text)
    with pytest.raises(CommandError, match=r"invoices/rules/large.json: (.|\n)*Nothing was applied"):
        said("apply")
    assert not Rule.objects.exists()
    assert said("apply", "good") == "good: made\n"


def test_two_files_with_one_name_are_refused(playbooks: Path) -> None:
    put(playbooks, a_file(), "a/rule.json")
    put(playbooks, a_file(), "b/rule.json")
    with pytest.raises(CommandError, match="Another file has this name"):
        said("apply")


def test_the_rules_that_are_shipped_are_right_and_off() -> None:
    shipped = files.read_files()
    assert len(shipped) >= 3
    for file in shipped:
        assert not file.problems, file
        assert file.document["State"] == "DISABLED"
    rules("apply")
    assert {entry["stand"] for entry in rules("list")} == {"same"}
    assert not any(entry["changed"] for entry in rules("export", "--dry-run"))


def test_unknown_names_and_people_are_refused(playbooks: Path) -> None:
    for words in (["diff", "no"], ["apply", "no"], ["replay", "no", "--since", "7d"], ["redrive"]):
        with pytest.raises(CommandError):
            said(*words)
    put(playbooks, a_file())
    with pytest.raises(CommandError, match="No operator"):
        said("apply", "--by", "nobody@example.com")


parts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)


@given(parts, parts, parts)
def test_merging_loses_nothing_of_either_side_unless_it_says_so(base: Any, here: Any, file: Any) -> None:
    compared = compare(base, here, file)
    for key in "abcd":
        before, ours, theirs = base.get(key), here.get(key), file.get(key)
        merged = compared.merged.get(key)
        if key in compared.conflicts:
            assert len({ours, theirs}) == 2
            assert before not in (ours, theirs) or before is None
        elif ours != before:
            assert merged == ours
        elif theirs != before:
            assert merged == theirs
        else:
            assert merged == before
    again = compare(file, compared.merged, file)
    assert not again.conflicts
    assert not again.from_file, "applied, it brings nothing more"
    assert compare(file, file, file).stand is Stand.SAME


def test_a_replay_fires_on_the_past_once_for_its_id(olga: User) -> None:
    make_rule("paid", state=RuleState.OFF, on_since=None, targets=[finding_target()])
    for _ in range(3):
        paid_invoice()
    paid_invoice(type="invoice.voided")
    dry = rules("replay", "paid", "--since", "1d", "--dry-run")
    assert (dry["events"], dry["matches"], dry["calls"]) == (4, 3, 3)
    assert not Match.objects.exists()
    with pytest.raises(CommandError, match="--reason"):
        said("replay", "paid", "--since", "1d")
    done = rules("replay", "paid", "--since", "1d", "--reason", "missed", "--by", olga.email)
    assert (done["events"], done["matches"], done["calls"]) == (4, 3, 3)
    again = rules("replay", "paid", "--since", "1d", "--reason", "missed", "--id", done["id"])
    assert (again["events"], again["matches"]) == (4, 0)
    assert Match.objects.filter(replay=done["id"]).count() == Delivery.objects.filter(state="due").count() == 3
    rules("replay", "paid", "--since", "1d", "--reason", "once more")
    assert Delivery.objects.count() == len(set(Delivery.objects.values_list("key", flat=True))) == 6
    act = StaffAct.objects.order_by("pk").first()
    assert act
    assert (act.act, act.reason, act.actor, act.after["replay"]) == ("rule:replay", "missed", olga, done["id"])


def test_a_replay_of_some_events_and_of_archived_ones() -> None:
    make_rule("paid")
    one, other = paid_invoice(), paid_invoice()
    type(other).objects.filter(pk=other.pk).update(payload=None)
    assert rules("replay", "paid", one.external_id, "--reason", "x")["matches"] == 1
    done = rules("replay", "paid", "--since", "1d", "--reason", "x", "--dry-run")
    assert (done["events"], done["matches"], done["archived"]) == (2, 1, 1)


def test_dead_letters_are_redriven_by_command() -> None:
    make_rule("paid", targets=[finding_target(), finding_target("broken", input_template='{"title": "<id>"}')])
    event = paid_invoice()
    from ops.rules.dispatch import dispatch_due

    dispatch_due(timezone.now, budget_seconds=5)
    Delivery.objects.update(state=DeliveryState.DEAD, finished_at=NOW, due_at=None)
    Delivery.objects.filter(target_name="broken").update(input="")
    told = rules("redrive", "--rule", "paid", "--dry-run")
    assert told == {"calls": 1, "without_input": 1, "dry_run": True}
    with pytest.raises(CommandError, match="--reason"):
        said("redrive", "--all")
    assert "1 due again" in said("redrive", "--rule", "paid", "--since", "1d", "--reason", "it is back")
    assert Delivery.objects.get(state="due").match.event_id == event.external_id
