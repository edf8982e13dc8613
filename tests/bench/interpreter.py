"""The interpreter of the Amazon States Language alone, in memory: ours beside moto's, the same definitions and inputs.

python -m tests.bench.interpreter [--executions 2000] [--runs 5]

moto parses a definition anew for each execution; here it is measured that way, and with the parsing done before. Both
write Step Functions' history and nothing else. Neither is durable.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.bench.ground import Row, median_of, print_table

MIX = {
    "StartAt": "Begin",
    "States": {
        "Begin": {"Type": "Pass", "Parameters": {"n.$": "$.n", "large.$": "$.large"}, "Next": "Large"},
        "Large": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.large", "BooleanEquals": True, "Next": "Note"}],
            "Default": "Act",
        },
        "Note": {"Type": "Pass", "Result": "large", "ResultPath": "$.note", "Next": "Act"},
        "Act": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "ResultPath": "$.done", "Next": "End"},
        "End": {"Type": "Succeed"},
    },
}
TREES = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemProcessor": {
                "StartAt": "One",
                "States": {
                    "One": {"Type": "Pass", "Parameters": {"n.$": "$"}, "Next": "Two"},
                    "Two": {"Type": "Pass", "ResultPath": "$.again", "End": True},
                },
            },
            "End": True,
        }
    },
}
Inputs = list[dict[str, Any]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(argv)
    numbers = range(options.executions)
    mixed: Inputs = [{"n": number, "large": number % 2 == 0} for number in numbers]
    lists: Inputs = [{"items": list(range(20))} for _ in numbers[:: len(numbers) // 100 or 1]]

    def rate(measure: Callable[[dict[str, Any], Inputs], float], definition: dict[str, Any], given: Inputs) -> float:
        return median_of(lambda: measure(definition, given), runs=options.runs)

    few = mixed[: len(mixed) // 10]
    rows = [
        Row("Pass, Choice", rate(ours, MIX, mixed), rate(moto_parsed, MIX, few), "moto's", "20 ×"),
        Row("Pass, Choice", rate(ours, MIX, mixed), rate(moto_anew, MIX, few), "moto's, as it runs"),
        Row("Map of 20 items", rate(ours, TREES, lists), rate(moto_parsed, TREES, lists[:20]), "moto's", "20 ×"),
    ]
    print_table(f"Transitions a second, interpreters alone, median of {options.runs}", rows)
    return 0


def ours(definition: dict[str, Any], inputs: Inputs) -> float:
    from ops.workflows.asl.definition import compile_machine
    from ops.workflows.asl.inline import run
    from ops.workflows.mocks import MockedStates

    machine, world, now = compile_machine(definition), MockedStates({}), datetime.now(UTC)
    begun = time.perf_counter()
    histories = [run(machine, given, world, now=now).history for given in inputs]
    seconds = time.perf_counter() - begun
    return entered(event.type for history in histories for event in history) / seconds


def moto_parsed(definition: dict[str, Any], inputs: Inputs) -> float:
    """The program parsed once, which spares moto most of what an execution costs it."""
    return moto(definition, inputs, anew=False)


def moto_anew(definition: dict[str, Any], inputs: Inputs) -> float:
    return moto(definition, inputs, anew=True)


def moto(definition: dict[str, Any], inputs: Inputs, *, anew: bool) -> float:
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    text = json.dumps(definition)
    program = AmazonStateLanguageParser.parse(text)[0]
    begun, environments = time.perf_counter(), []
    for given in inputs:
        environment = moto_environment(given)
        (AmazonStateLanguageParser.parse(text)[0] if anew else program).eval(environment)
        environments.append(environment)
    seconds = time.perf_counter() - begun
    events = [event for each in environments for event in each.event_manager.get_event_history()]
    assert sum(event["type"] == "ExecutionSucceeded" for event in events) == len(inputs), events[-1]
    return entered(event["type"] for event in events) / seconds


def moto_environment(given: dict[str, Any]) -> Any:
    """What its execution worker gives a program to run in."""
    from moto.stepfunctions.parser.api import StateMachineType
    from moto.stepfunctions.parser.asl.eval.environment import Environment
    from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
    from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
    from moto.stepfunctions.parser.asl.eval.states import ContextObjectData, ExecutionData, StateMachineData

    role, now = "arn:aws:iam::000000000000:role/bench", datetime.now(UTC).isoformat()
    return Environment(
        aws_execution_details=AWSExecutionDetails(account="000000000000", region="us-east-1", role_arn=role),
        execution_type=StateMachineType.STANDARD,
        context=ContextObjectData(
            Execution=ExecutionData(Id="bench", Input=given, Name="bench", RoleArn=role, StartTime=now),
            StateMachine=StateMachineData(Id="bench", Name="bench"),
        ),
        event_history_context=EventHistoryContext.of_program_start(),
        cloud_watch_logging_session=None,
        activity_store={},
    )


def entered(types: Any) -> int:
    return sum(name.endswith("StateEntered") for name in types)


if __name__ == "__main__":
    sys.exit(main())
