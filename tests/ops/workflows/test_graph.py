"""State machines drawn: nothing is left out, nothing lies on anything else, whatever the definition."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.workflows.asl.validate import check
from ops.workflows.graph.conditions import condition_words
from ops.workflows.graph.drawing import MOST_STATES, Drawing, Line, Node, TooLarge, draw
from ops.workflows.graph.letters import cut, lines_of, width_of
from ops.workflows.graph.shape import END, START, Arrow, Flow, Way, machine_flow

TASK = "arn:aws:states:local:000000000000:activity:refund-invoice"
NAMES = ("Pay", "Wait for the customer's answer", "返金を承認してもらう", "x" * 80, "Ende")


@st.composite
def flows(draw_from: Any, depth: int = 0, prefix: str = "") -> dict[str, Any]:
    """A flow of up to seven states, joined at random, circles and loops too; every name is used once."""
    count = draw_from(st.integers(1, 7 if depth == 0 else 3))
    names = [f"{prefix}{number} {draw_from(st.sampled_from(NAMES))}"[:80] for number in range(count)]
    states = {}
    for number, name in enumerate(names):
        kinds = ["Pass", "Task", "Choice", "Succeed", *(["Parallel", "Map"] if depth < 2 else [])]
        kind = draw_from(st.sampled_from(kinds))
        target = st.sampled_from(names)
        state: dict[str, Any] = {"Type": kind}
        if kind == "Choice":
            rule = st.builds(lambda at, to: {"Variable": "$.a", "NumericEquals": at, "Next": to}, st.integers(), target)
            state |= {"Choices": draw_from(st.lists(rule, min_size=1, max_size=4)), "Default": draw_from(target)}
        elif kind != "Succeed":
            state |= draw_from(st.one_of(st.just({"End": True}), st.builds(lambda to: {"Next": to}, target)))
        if kind == "Task":
            state["Resource"] = TASK
        if kind in ("Task", "Parallel", "Map") and draw_from(st.booleans()):
            errors = draw_from(st.sampled_from([["States.ALL"], ["Stripe.CardDeclined", "Busy"]]))
            state["Catch"] = [{"ErrorEquals": errors, "Next": draw_from(target)}]
        if kind == "Parallel":
            branches = draw_from(st.integers(1, 3))
            state["Branches"] = [
                draw_from(flows(depth + 1, f"{prefix}{number}.{branch}.")) for branch in range(branches)
            ]
        if kind == "Map":
            state["ItemProcessor"] = draw_from(flows(depth + 1, f"{prefix}{number}.m."))
        states[name] = state
    return {"StartAt": names[0], "States": states}


def all_flows(flow: Flow) -> Iterator[Flow]:
    yield flow
    for vertex in flow.vertices.values():
        for branch in vertex.branches:
            yield from all_flows(branch)


def overlap(one: Any, other: Any) -> bool:
    return (
        one.x < other.x + other.width - 0.01
        and other.x < one.x + one.width - 0.01
        and one.y < other.y + other.height - 0.01
        and other.y < one.y + one.height - 0.01
    )


def holds(box: Node, node: Node) -> bool:
    return (
        box.x <= node.x + 0.01
        and box.y <= node.y + 0.01
        and node.right <= box.right + 0.01
        and node.bottom <= box.bottom + 0.01
    )


def by_name(drawing: Drawing) -> dict[str, Node]:
    return {node.name: node for node in drawing.nodes}


def ends_of(line: Line) -> tuple[tuple[float, float], tuple[float, float]]:
    numbers = [float(word) for word in re.findall(r"-?[\d.]+", line.path)]
    return (numbers[0], numbers[1]), (numbers[-2], numbers[-1])


@settings(max_examples=40, deadline=None)
@given(flows())
def test_every_state_and_every_way_is_drawn_once_and_nothing_overlaps(definition):
    flow = machine_flow(definition)
    drawing = draw(definition)
    names = [name for level in all_flows(flow) for name in level.vertices]
    assert sorted(node.name for node in drawing.nodes) == sorted(names)
    arrows = [arrow for level in all_flows(flow) for arrow in level.arrows]
    assert sorted(map(repr, arrows)) == sorted(repr(line.arrow) for line in drawing.lines)

    nodes = by_name(drawing)
    for level in all_flows(flow):
        for one, other in combinations(level.vertices, 2):
            assert not overlap(nodes[one], nodes[other]), (one, other)
        for name, vertex in level.vertices.items():
            inner = [nodes[inner_name] for branch in vertex.branches for inner_name in branch.vertices]
            assert all(holds(nodes[name], node) for node in inner)
            for one, other in combinations(inner, 2):
                assert not overlap(one, other)
    for node in drawing.nodes:
        assert node.x >= -0.01
        assert node.right <= drawing.width + 0.01
        assert node.y >= 0
        assert node.bottom <= drawing.height + 0.01
    for label in (line.label for line in drawing.lines if line.label):
        plain = [node for node in drawing.nodes if node.box is None]
        around = [node for node in plain if overlap(node, as_box(label))]
        assert not around, label


def as_box(label: Any) -> Node:
    return Node("", "", "", label.x - label.width / 2, label.y, label.width, label.height, ())


@settings(max_examples=25, deadline=None)
@given(flows())
def test_every_line_begins_and_ends_at_its_states(definition):
    drawing = draw(definition)
    nodes = by_name(drawing)
    for line in drawing.lines:
        begin, end = ends_of(line)
        for (x, y), name in ((begin, line.arrow.source), (end, line.arrow.target)):
            node = nodes[name]
            assert node.x - 0.3 <= x <= node.right + 0.3
            assert node.y - 0.3 <= y <= node.bottom + 0.3


def chain(count: int) -> dict[str, Any]:
    """States in a row, each of which may fail to the same handler: the shape that has most lines."""
    states: dict[str, Any] = {
        f"Step {number}": {
            "Type": "Task",
            "Resource": TASK,
            "Next": f"Step {number + 1}" if number + 1 < count else "Done",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Give up"}],
        }
        for number in range(count)
    }
    return {"StartAt": "Step 0", "States": states | {"Done": {"Type": "Succeed"}, "Give up": {"Type": "Fail"}}}


def test_a_hundred_states_that_fail_to_one_handler_share_one_line():
    definition = chain(100)
    assert not check(definition)
    drawing = draw(definition)
    nodes = by_name(drawing)
    assert len(drawing.lines) == 1 + 100 * 2 + 2
    middles = [nodes[f"Step {number}"].middle for number in range(100)]
    assert max(middles) - min(middles) < 24  # the row stands straight
    assert drawing.width < 400


def test_a_straight_row_is_drawn_straight_and_a_circle_leads_back_up():
    states = {
        "Ask": {"Type": "Task", "Resource": TASK, "Next": "Paid?"},
        "Paid?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.paid", "BooleanEquals": True, "Next": "Thank"}],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Ask"},
        "Thank": {"Type": "Succeed"},
    }
    drawing = draw({"StartAt": "Ask", "States": states})
    nodes = by_name(drawing)
    assert nodes[START].y < nodes["Ask"].y < nodes["Paid?"].y < nodes["Wait"].y
    assert nodes["Thank"].y < nodes[END].y
    back = next(line for line in drawing.lines if (line.arrow.source, line.arrow.target) == ("Wait", "Ask"))
    begin, end = ends_of(back)
    assert end[1] < begin[1]


def test_rules_of_one_choice_to_one_state_are_one_line_with_both_conditions():
    rules = [{"Variable": "$.a", "NumericEquals": number, "Next": "Done"} for number in (1, 2)]
    definition = {"StartAt": "A?", "States": {"A?": {"Type": "Choice", "Choices": rules}, "Done": {"Type": "Succeed"}}}
    arrows = [arrow for arrow in machine_flow(definition).arrows if arrow.way is Way.CHOICE]
    assert arrows == [Arrow("A?", "Done", Way.CHOICE, "$.a = 1 | $.a = 2")]


# a rule of a Choice, and how it is written at its line
@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.amount", "NumericGreaterThanEquals": 5000}, "$.amount ≥ 5000"),
        ({"Variable": "$.status", "StringEquals": "paid", "Next": "Thank"}, '$.status = "paid"'),
        ({"Variable": "$.a", "NumericLessThanPath": "$.b"}, "$.a < $.b"),
        ({"Variable": "$.at", "TimestampLessThan": "2026-01-01T00:00:00Z"}, '$.at < "2026-01-01T00:00:00Z"'),
        ({"Variable": "$.name", "StringMatches": "inv*"}, '$.name matches "inv*"'),
        ({"Variable": "$.error", "IsPresent": False}, "$.error is not present"),
        ({"Variable": "$.n", "IsNumeric": True}, "$.n is numeric"),
        ({"Not": {"Variable": "$.ok", "BooleanEquals": True}}, "not $.ok = true"),
        (
            {
                "And": [
                    {"Variable": "$.a", "IsNull": True},
                    {"Or": [{"Variable": "$.b", "NumericEquals": 1}, {"Variable": "$.c", "NumericEquals": 2}]},
                ]
            },
            "$.a is null and ($.b = 1 or $.c = 2)",
        ),
    ],
)
def test_a_condition_is_written_in_few_signs(rule, words):
    assert condition_words(rule, jsonata=False) == words


def test_a_jsonata_condition_stands_as_it_is():
    assert condition_words({"Condition": "{% $states.input.paid %}"}, jsonata=True) == "$states.input.paid"


def test_a_long_name_is_parted_at_a_space_and_cut_where_it_does_not_fit():
    lines = lines_of("Wait until the customer has answered the last of our letters", 150, size=13, most=2)
    assert len(lines) == 2
    assert all(width_of(line, size=13) <= 150 for line in lines)
    assert lines[1].endswith("…")
    assert cut("返金を承認してもらう", 60, size=13) == "返金を承…"


def test_a_definition_that_no_browser_could_show_is_refused():
    with pytest.raises(TooLarge):
        draw(chain(MOST_STATES))
