"""Playbooks as a whole: all faults at once, machines before rules, nothing half applied, nothing overwritten unseen."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ops.models import Rule, RuleState, StateMachine
from ops.workflows.machines import save_version

pytestmark = pytest.mark.django_db
ARN = "arn:aws:states:local:000000000000:"
RULE = {
    "Name": "greet",
    "EventPattern": {"detail-type": ["invoice.paid"]},
    "Targets": [
        {
            "Id": "start",
            "Arn": f"{ARN}stateMachine:greet",
            "StateMachineParameters": {"ExecutionName": "$.detail.data.object.id"},
        }
    ],
}


def machine(template: str = "greet/hello", resource: str = "send-email") -> dict[str, Any]:
    state = {"Type": "Task", "Resource": f"{ARN}activity:{resource}", "Parameters": {"template": template}, "End": True}
    return {"StartAt": "Greet", "States": {"Greet": state}}


@pytest.fixture
def greet(tmp_path: Path, settings) -> Path:
    settings.PLAYBOOKS_DIRECTORY = str(tmp_path)
    folder = tmp_path / "greet"
    for name in ("rules", "emails"):
        (folder / name).mkdir(parents=True)
    (folder / "rules" / "greet.json").write_text(json.dumps(RULE))
    (folder / "workflow.asl.json").write_text(json.dumps(machine()))
    (folder / "emails" / "hello.en.txt").write_text("Subject: Hello\n\nHello {{ name }}.\n")
    return folder


def playbooks(*words: str) -> Any:
    out = StringIO()
    try:
        call_command("playbooks", *words, "--json", stdout=out)
    except SystemExit as end:
        assert end.code == 1
    return json.loads(out.getvalue())


def test_machines_come_before_the_rules_that_start_them(greet) -> None:
    assert [each["did"] for each in playbooks("apply", "--dry-run")] == ["made", "made"]
    assert not StateMachine.objects.exists() and not Rule.objects.exists()
    assert [(each["kind"], each["did"]) for each in playbooks("apply", "greet", "--on")] == [
        ("machine", "made"), ("rule", "made"), ("rule", "switched on"),
    ]  # fmt: skip
    assert Rule.objects.get().state == RuleState.ON
    assert [each["did"] for each in playbooks("apply")] == ["kept", "kept"]
    # switched on here, off in the file: that is an edit, and stays
    assert list(playbooks("diff")["greet"]) == ["greet/rules/greet.json"]


def test_a_difference_shows_what_differs_and_not_the_order_of_keys(greet) -> None:
    paths = {"zeal": "$.detail.id", "a": "$.id", "middle": "$.source"}
    said = {"InputPathsMap": paths, "InputTemplate": '{"a": <a>, "m": <middle>, "z": <zeal>}'}
    rule = {**RULE, "Targets": [{**RULE["Targets"][0], "InputTransformer": said}]}
    (greet / "rules" / "greet.json").write_text(json.dumps(rule))
    playbooks("apply", "greet", "--on")
    lines = playbooks("diff")["greet"]["greet/rules/greet.json"].splitlines()
    changed = [line for line in lines if line[0] in "+-" and not line.startswith(("---", "+++"))]
    assert [line for line in changed if "State" not in line] == []


def test_rules_applied_alone_bring_their_machines(greet) -> None:
    call_command("rules", "apply", stdout=StringIO())
    assert (StateMachine.objects.get().name, Rule.objects.get().name) == ("greet", "greet")


def test_everything_that_is_wrong_is_said_and_nothing_is_applied(greet) -> None:
    (greet / "workflow.asl.json").write_text(json.dumps(machine(template="greet/bye")))
    (greet / "workflows").mkdir()
    (greet / "workflows" / "other.asl.json").write_text('{"StartAt": "A", "States": {}}')
    (greet / "workflows" / "third.asl.json").write_text(json.dumps(machine(resource="refund-everybody")))
    (greet / "emails" / "hello.ja.txt").write_text("Subject: x\n\n{{ nmae }}")
    (greet / "emails" / "bye.xx.txt").write_text("Subject: x\n\nx")
    wrong = {**RULE, "Targets": [{**RULE["Targets"][0], "StateMachineParameters": {"ExecutionName": "always"}}]}
    (greet / "rules" / "greet.json").write_text(json.dumps(wrong))
    faults = playbooks("check")
    for said in (
        "greet/workflow.asl.json: There is no letter greet/bye at /States/Greet",
        "greet/workflows/other.asl.json: The field 'States' is required",
        "greet/workflows/third.asl.json: No effect is named refund-everybody",
        "greet/emails/hello.ja.txt: There is no value nmae.",
        "greet/emails/bye: It lacks English",
        "greet/emails/bye.xx.txt: Nobody here reads “xx”.",
        "greet/rules/greet.json: Targets[0].StateMachineParameters: An object with ExecutionName",
    ):
        assert any(fault.startswith(said) for fault in faults), said
    with pytest.raises(CommandError, match="Nothing was applied"):
        playbooks("apply")
    assert not StateMachine.objects.exists() and not Rule.objects.exists()


def test_a_machine_that_was_edited_here_is_not_overwritten_unseen(greet) -> None:
    playbooks("apply")
    save_version("greet", json.dumps(machine()).replace("Greet", "Salute"), reason="ours", now=timezone.now())
    with pytest.raises(CommandError, match="greet was edited here"):
        playbooks("apply")
    assert "Salute" in playbooks("diff")["greet"]["greet/workflow.asl.json"]
    playbooks("apply", "--force")
    assert "Greet" in StateMachine.objects.get().current.definition


def test_what_the_file_changes_is_a_new_version(greet) -> None:
    playbooks("apply")
    changed = machine() | {"Comment": "More friendly"}
    (greet / "workflow.asl.json").write_text(json.dumps(changed))
    assert playbooks("list")[0]["machines"] == [{"name": "greet", "stand": "changed"}]
    playbooks("apply")
    assert StateMachine.objects.get().current.number == 2


def test_the_shipped_playbooks_are_right(settings) -> None:
    assert playbooks("check") == []


def test_an_unknown_playbook_is_said(greet) -> None:
    with pytest.raises(CommandError, match="There is no playbook gone"):
        playbooks("apply", "gone")
