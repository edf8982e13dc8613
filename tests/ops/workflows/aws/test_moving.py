"""Definitions as AWS takes them, what their roles may do, and the way back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.workflows.asl.validate import check_text
from ops.workflows.aws.moving import back, move_of
from ops.workflows.aws.permissions import Unknown, policy_of
from tests.ops.workflows.aws.here import HERE
from tests.ops.workflows.moving import definition

EFFECT = "arn:aws:states:local:000000000000:activity:"
REFUND = EFFECT + "refund-invoice"
CONNECTION = "arn:aws:events:local:000000000000:connection/crm"
THERE = "arn:aws:events:us-east-1:123456789012:connection/crm/11111111-2222-3333-4444-555555555555"


def moved(states, **more):
    known = {"effects": {"refund-invoice"}, "machines": set(), "connections": {"crm": THERE}}
    return move_of("refunds", definition(more, **states), HERE, **known)


def task(**more):
    return {"Type": "Task", "Resource": REFUND, "End": True, **more}


def test_an_effect_is_told_where_it_was_called():
    state = moved({"Pay": task(Parameters={"invoice.$": "$.id"})}).definition["States"]["Pay"]
    assert state["Resource"] == "arn:aws:states:us-east-1:123456789012:activity:refund-invoice"
    assert state["Parameters"] == {
        "kessai": {
            "execution.$": "$$.Execution.Id",
            "state.$": "$$.State.Name",
            "entered.$": "$$.State.EnteredTime",
            "tried.$": "$$.State.RetryCount",
        },
        "input": {"invoice.$": "$.id"},
    }


def test_an_effect_inside_a_map_is_told_too_in_both_languages():
    each = {"Type": "Map", "ItemProcessor": definition(Pay=task()), "End": True}
    by_path = moved({"Each": each}).definition["States"]["Each"]["ItemProcessor"]["States"]["Pay"]
    assert by_path["Parameters"]["input.$"] == "$"
    jsonata = moved({"Each": each}, QueryLanguage="JSONata").definition
    state = jsonata["States"]["Each"]["ItemProcessor"]["States"]["Pay"]
    assert state["Arguments"]["kessai"]["entered"] == "{% $states.context.State.EnteredTime %}"
    assert state["Arguments"]["input"] == "{% $states.input %}"


values = st.recursive(
    st.none() | st.booleans() | st.sampled_from([1, "a", "$.id", "{% $x %}", "input", "kessai"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
resources = st.sampled_from([REFUND, EFFECT + "other", "arn:aws:states:::sqs:sendMessage"])
given_of = st.none() | st.dictionaries(st.sampled_from(["a.$", "b", "input"]), values, max_size=2)


@st.composite
def tasks(draw):
    given = draw(given_of)
    return {**task(), "Resource": draw(resources), **({} if given is None else {"Parameters": given})}


nested = st.recursive(
    tasks(),
    lambda inner: (
        st.builds(lambda state: {"Type": "Map", "ItemProcessor": definition(In=state), "End": True}, inner)
        | st.builds(lambda one: {"Type": "Parallel", "Branches": [definition(A=one)] * 2, "End": True}, inner)
    ),
    max_leaves=2,
)


@settings(max_examples=50)
@given(nested, st.sampled_from(["JSONPath", "JSONata"]))
def test_the_way_back_gives_the_definition_that_was_moved(state, language):
    if language == "JSONata":
        state = json.loads(json.dumps(state).replace('"Parameters":', '"Arguments":'))
    before = definition({"QueryLanguage": language}, Only=state)
    move = move_of("m", before, HERE, effects={"refund-invoice"}, machines=set(), connections={})
    assert back(move.definition, HERE) == before
    assert "local" not in json.dumps([each["Resource"] for each in tasks_in(move.definition)])


def tasks_in(value):
    if isinstance(value, dict):
        return ([value] if value.get("Type") == "Task" else []) + [
            each for inner in value.values() for each in tasks_in(inner)
        ]
    return [each for inner in value for each in tasks_in(inner)] if isinstance(value, list) else []


def test_what_moves_is_still_a_valid_definition():
    for language, key in (("JSONPath", "Parameters"), ("JSONata", "Arguments")):
        move = moved(
            {
                "Pay": task(**{key: {"invoice": "in_1"}}),
            },
            QueryLanguage=language,
        )
        faults, _ = check_text(move.text)
        assert faults == []


def test_a_connection_of_the_portal_is_the_one_there():
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::http:invoke",
        "Parameters": {
            "ApiEndpoint": "https://crm.example/notes",
            "Method": "POST",
            "Authentication": {"ConnectionArn": CONNECTION},
        },
        "End": True,
    }
    move = moved({"Call": state})
    assert move.definition["States"]["Call"]["Parameters"]["Authentication"]["ConnectionArn"] == THERE
    assert back(move.definition, HERE)["States"]["Call"] == state
    allowed = {str(each["Action"]): each for each in policy_of("refunds", move.definition, HERE)["Statement"]}
    assert allowed["events:RetrieveConnectionCredentials"]["Resource"] == [THERE]
    assert allowed["states:InvokeHTTPEndpoint"]["Condition"]["StringEquals"] == {
        "states:HTTPEndpoint": "https://crm.example/notes",
        "states:HTTPMethod": "POST",
    }
    without = move_of("refunds", definition(Call=state), HERE, effects=set(), machines=set(), connections={})
    assert "the connection crm, which is not there" in without.cannot[0]


WHERE = "us-east-1:123456789012"
BUSES, INSTANCES = f"arn:aws:events:{WHERE}:event-bus", f"arn:aws:ec2:{WHERE}:instance"
LAMBDA = f"arn:aws:lambda:{WHERE}:function:f"
MACHINE = f"arn:aws:states:{WHERE}:stateMachine:m"


@pytest.mark.parametrize(
    ("resource", "arguments", "action", "expected"),
    [
        ("sns:publish", {"TopicArn": f"arn:aws:sns:{WHERE}:paid"}, "sns:Publish", [f"arn:aws:sns:{WHERE}:paid"]),
        ("sns:publish", {"TopicArn.$": "$.topic"}, "sns:Publish", [f"arn:aws:sns:{WHERE}:*"]),
        ("events:putEvents", {"Entries": [{"Source": "x"}]}, "events:PutEvents", [f"{BUSES}/default"]),
        ("events:putEvents", {"Entries.$": "$"}, "events:PutEvents", [f"{BUSES}/*"]),
        ("aws-sdk:ec2:stopInstances", {"InstanceIds": ["i-1"]}, "ec2:StopInstances", [f"{INSTANCES}/i-1"]),
        ("aws-sdk:ec2:stopInstances", {"InstanceIds.$": "$.ids"}, "ec2:StopInstances", [f"{INSTANCES}/*"]),
        ("aws-sdk:ec2:describeInstances", {}, "ec2:DescribeInstances", ["*"]),
        (
            "aws-sdk:cloudformation:createStack",
            {"StackName": "s"},
            "cloudformation:CreateStack",
            [f"arn:aws:cloudformation:{WHERE}:stack/s/*"],
        ),
        ("aws-sdk:sfn:listExecutions", {}, "states:ListExecutions", ["*"]),
        ("aws-sdk:s3:listObjectsV2", {"Bucket": "b"}, "s3:ListBucket", ["arn:aws:s3:::b"]),
        ("dynamodb:getItem", {"TableName": "t"}, "dynamodb:GetItem", [f"arn:aws:dynamodb:{WHERE}:table/t"]),
        ("lambda:invoke", {"FunctionName": "f"}, "lambda:InvokeFunction", [LAMBDA, f"{LAMBDA}:*"]),
        ("states:startExecution", {"StateMachineArn": f"{MACHINE}:live"}, "states:StartExecution", [MACHINE]),
    ],
)
def test_a_role_may_call_just_what_the_definition_names(resource, arguments, action, expected):
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": arguments, "End": True}
    statements = policy_of("m", definition(Call=state), HERE)["Statement"][1:]
    assert {each["Action"]: each["Resource"] for each in statements} == {action: expected}


def test_only_calls_of_effects_need_no_permission():
    assert len(policy_of("m", moved({"Pay": task()}).definition, HERE)["Statement"]) == 1  # its log


def test_a_call_that_aws_does_not_have_is_refused():
    state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:ec2:makeCoffee", "End": True}
    with pytest.raises(Unknown, match="/States/Call calls ec2:makeCoffee"):
        policy_of("m", definition(Call=state), HERE)
