"""A workflow in a real browser: tried, written, watched while it runs and repaired; and its pages for everybody."""

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from ops.effects.outcome import Done, Refused
from ops.models import ActivityTask, Execution, ExecutionOnAws, MapRunOnAws, StaffAct, Status, TaskState
from ops.workflows import acts, engine
from ops.workflows.machines import save_version
from ops.workflows.start import start
from tests.browser import VIOLATIONS
from tests.cast import sign_in
from tests.ops.rows import make_approval
from tests.ops.test_workflow_pages import DEFINITION
from tests.ops.workflows.moving import Clock, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def console(live_server, page: Page, olga) -> Page:
    """A browser in which Olga is signed in. The page fails the test on any refusal by the policy."""
    cookie = sign_in(olga).cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    return page


def address(live_server: Any, name: str, *args: object) -> str:
    return str(live_server.url) + reverse(f"admin:{name}", args=args)


def run(name: str, amount: int, *answers: Any) -> Execution:
    text = json.dumps(DEFINITION, indent=2)
    machine = save_version("refunds", text, reason="first", now=timezone.now()).machine
    execution = start(machine, name, {"amount": amount}, now=timezone.now())
    advance(*answers)
    execution.refresh_from_db()
    return execution


def advance(*answers: Any) -> None:
    engine.advance_due(Clock(timezone.now()), budget_seconds=20, make=World(*(answers or [Done({"refund": "re_1"})])))


def test_a_workflow_is_tried_corrected_watched_and_repaired(live_server, console):
    failed = run("bad", 100, Refused("Stripe.Declined: no money"))
    waiting = run("large", 9000)

    # tried without the world: the graph shows the way, the call is described
    console.goto(address(live_server, "ops_statemachine_change", waiting.machine_id))
    expect(console.locator(".badge.waiting text")).to_have_text("1")
    console.get_by_role("link", name="Try it").click()
    console.get_by_label("Input", exact=True).fill('{"amount": 100}')
    console.get_by_label("Assumed results").fill('{"Refund": {"Return": {}}}')
    console.get_by_role("button", name="Dry run").click()
    expect(console.get_by_role("heading", name="It would succeed")).to_be_visible()
    expect(console.locator("#tried .state.task.done .name")).to_have_text("Refund")

    # written: a flaw is told while it is typed, and drawn once it is gone
    console.goto(address(live_server, "ops_statemachine_edit", waiting.machine_id))
    text = console.locator("#id_definition").input_value()
    console.locator("#id_definition").fill(text.replace('"Next": "Rest"', '"Next": "Gone"'))
    expect(console.get_by_text("Missing 'Next' target: Gone")).to_be_visible()
    console.get_by_role("button", name="Line").click()
    chosen = "const text = document.activeElement; text.value.slice(text.selectionStart, text.selectionEnd)"
    assert console.evaluate(f"(() => {{ {chosen.replace('; text', '; return text')} }})()").strip() == '"Next": "Gone"'
    console.locator("#id_definition").fill(text.replace('"Seconds": 60', '"Seconds": 30'))
    expect(console.get_by_text("A definition with 4 states.")).to_be_visible()
    console.get_by_label("Percent of new executions").fill("20")
    console.get_by_label("Why").fill("A minute is long.")
    console.get_by_role("button", name="Save the version").click()
    expect(console.get_by_text("Version 2 is tried on 20 %")).to_be_visible()

    # watched: what somebody answers elsewhere appears by itself, and what was opened stays open
    console.goto(address(live_server, "ops_execution_change", waiting.pk))
    expect(console.locator(".state.running .name")).to_have_text("Ask")
    console.locator(".steps summary", has_text="Large?").click()
    console.get_by_role("link", name="Answer for Ask").click()
    console.get_by_label("Result").fill('{"amount": 9000}')
    console.get_by_label("Why").fill("She said yes by telephone.")
    console.get_by_role("button", name="Answer in their place").click()
    console.locator(".steps summary", has_text="Large?").click()
    advance()
    expect(console.locator(".state.running .name")).to_have_text("Rest")
    expect(console.locator(".steps details[open] summary")).to_contain_text("Large?")

    # repaired: the state that failed is tried again
    console.goto(address(live_server, "ops_execution_change", failed.pk))
    expect(console.get_by_role("heading", name="It failed in “Refund”")).to_be_visible()
    console.get_by_role("link", name="Redrive from the failed state").click()
    console.get_by_label("Why").fill("The bank is awake.")
    console.get_by_role("button", name="Redrive from the failed state").click()
    advance()
    expect(console.locator(".state.running .name")).to_have_text("Rest")
    failed.refresh_from_db()
    assert (failed.status, failed.redrives) == (Status.RUNNING, 1)
    acts = StaffAct.objects.order_by("pk").values_list("act", flat=True)
    assert list(acts) == ["state-machine:change", "execution:answer", "execution:redrive"]


def on_aws() -> Execution:
    """An execution on AWS with a call of an effect that came too late, and a Map Run with an item."""
    row = run("there", 100, Refused("Stripe.Declined: no money"))
    arn = "arn:aws:states:eu-west-1:111122223333:execution:refunds"
    Execution.objects.filter(pk=row.pk).update(arn=f"{arn}:there")
    ActivityTask.objects.create(
        origin=f"refunds:there:Refund:{'0b5e' * 10}",
        activity="arn:aws:states:eu-west-1:111122223333:activity:refund-invoice",
        execution=f"{arn}:there", state_name="Refund", state=TaskState.LATE, answer={"result": {}}, attempts=1,
        error="TaskTimedOut: Task Timed Out", handed_out=2, received_at=timezone.now(),
    )  # fmt: skip
    counts = {"succeeded": 1_041_230, "failed": 1, "total": 1_041_231}
    map_run = MapRunOnAws.objects.create(
        execution=row, arn=arn.replace(":execution:", ":mapRun:") + "/Each:1", state_name="Each", items=counts,
        children_counts=counts, tolerated_percentage=2.5, redrives=1, redriven_at=timezone.now(),
    )  # fmt: skip
    item = run("0b5e2a1e-7b00-4d1e-9a57-0c8e3f2b6a00", 100, Refused("Stripe.Declined: no money"))
    Execution.objects.filter(pk=item.pk).update(arn=f"{arn}/Each:{item.name}")
    ExecutionOnAws.objects.create(execution=item, map_run=map_run)
    return row


@pytest.mark.parametrize(("scheme", "width", "language"), [("light", 1280, "en"), ("dark", 390, "ja")])
def test_its_pages_can_be_read_by_everybody_and_fit(live_server, console, olga, scheme, width, language):
    olga.language = language
    olga.save()
    console.emulate_media(color_scheme=scheme)
    console.set_viewport_size({"width": width, "height": 900})
    failed = run("bad", 100, Refused("Stripe.Declined: no money"))
    waiting = run("large", 9000)
    addresses = [
        address(live_server, "ops_statemachine_change", failed.machine_id),
        address(live_server, "ops_execution_change", failed.pk),
        address(live_server, "ops_execution_change", waiting.pk),
        address(live_server, "ops_statemachine_edit", failed.machine_id),
        address(live_server, "ops_statemachine_try", failed.machine_id),
        address(live_server, "ops_execution_change", on_aws().pk),
    ]
    if language == "en":  # the others are made of the same parts
        addresses += [
            address(live_server, "ops_statemachine_versions", failed.machine_id),
            address(live_server, "ops_execution_history", failed.pk),
            address(live_server, "ops_execution_act", failed.pk, "result"),
            address(live_server, "ops_approval_change", make_approval(timezone.now()).pk),
        ]
    for url in addresses:
        console.goto(url)
        expect(console.locator(".console").first).to_be_visible()
        for step in console.locator(".steps summary").all()[:2]:
            step.click()
        found = Axe().run(
            console, context=".console", options=VIOLATIONS | {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
        )
        assert found.violations_count == 0, found.generate_report()
        assert console.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), url


def test_a_button_pressed_twice_acts_once(live_server, console):
    failed = run("bad", 100, Refused("Stripe.Declined: no money"))
    console.goto(address(live_server, "ops_execution_act", failed.pk, "again"))
    console.get_by_label("Why").fill("The bank is awake.")
    posted: list[str] = []
    console.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    console.evaluate("for (const _ of [1, 2]) document.querySelector('button.go').click()")
    expect(console.get_by_text("Another execution was started.")).to_be_visible()
    assert len(posted) == 1
    assert Execution.objects.count() == 2


def test_what_was_opened_stays_with_its_data_while_the_page_renews_itself(live_server, console, olga):
    waiting = run("large", 9000)
    console.goto(address(live_server, "ops_execution_change", waiting.pk))
    fetched: list[str] = []
    console.on("request", lambda request: fetched.append(request.url) if "/step/" in request.url else None)
    step = console.locator(".steps details", has_text="Large?")
    step.locator("summary").focus()
    console.keyboard.press("Enter")
    expect(step.locator(".json").first).to_contain_text('"amount": 9000')
    acts.answer_call(waiting, 1, {"amount": 9000}, olga, reason="yes", now=timezone.now())
    advance()
    expect(console.locator(".state.running .name")).to_have_text("Rest")
    expect(step.locator(".json").first).to_contain_text('"amount": 9000')
    assert len(fetched) == 1
    assert console.evaluate("document.activeElement.tagName") == "SUMMARY"
