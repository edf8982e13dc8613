"""Executions that were recorded on AWS, run here and on an AWS that moto plays: the same end.

Every seventh case of those that call nothing. Run over all 434 of them, moto ends four otherwise than AWS did, and two
in a way that its client cannot read; here all end as on AWS.
"""

import json
from secrets import token_hex

import boto3
import pytest

from ops.workflows.conformance import read_cases, run_inline, same_output
from tests.ops.workflows.aws.running import ended
from tests.vectors import vectors

MOTO_IS_WRONG = (
    "TestArgumentsBase/test_output_in_choice[CONDITION_TRUE]#0",
    "TestArgumentsBase/test_base_cases[BASE_EXPR]#0",
    "TestBaseScenarios/test_wait_timestamp_jsonata[INVALID_DATE]#0",
    "TestBaseScenarios/test_wait_timestamp_jsonata[NO_Z]#0",
    "TestSnfBase/test_input_path[$$]#0",
    "TestSnfBase/test_query_context_object_values#0",
)
EVERY = 7


def run_there(case):
    states = boto3.client("stepfunctions")
    text, role = json.dumps(case["definition"]), "arn:aws:iam::123456789012:role/m"
    made = states.create_state_machine(name=f"c-{token_hex(6)}", definition=text, roleArn=role)
    given = {"stateMachineArn": made["stateMachineArn"], "name": "e", "input": json.dumps(case["input"])}
    return ended(states.start_execution(**given)["executionArn"])


@pytest.mark.usefixtures("states_aws")
def test_both_engines_end_the_same():
    cases = [
        case
        for case in read_cases(vectors("asl_cases.jsonl").open(encoding="utf-8"))
        if case["needs"] == ["none"] and case.get("type") == "STANDARD" and not case["id"].endswith(MOTO_IS_WRONG)
    ]
    differ = []
    for case in [each for each in cases if each["approx_seconds"] < 3][::EVERY]:
        here, there = run_inline(case), run_there(case)
        same = there["status"] == here.status
        if here.status == "SUCCEEDED":
            same = same and same_output({**case["expect"], "output": here.output}, json.loads(there["output"]))
        else:
            same = same and there.get("error") == here.failure.error
        differ += [] if same else [case["id"]]
    assert differ == []
