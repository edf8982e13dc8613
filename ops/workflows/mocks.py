"""Answers for Task states that run without the world: functions by what they do, states by what they return."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from billing.numerals import whole_number
from ops.workflows.asl.errors import RUNTIME, Failure
from ops.workflows.asl.reasons import Reason, gettext_noop
from ops.workflows.asl.running import Answer
from ops.workflows.asl.step import Call
from ops.workflows.asl.written import size

Json = Any


MUST_SAY = Reason("WRONG_MOCK", gettext_noop("The mock of '%(name)s' must say Return or Throw."))
MUST_SAY_HOW_OFTEN = Reason(
    "WRONG_MOCK", gettext_noop("The mock of '%(name)s' must say Return or Throw, or attempts that do.")
)
NO_ATTEMPT = Reason(
    "WRONG_MOCK", gettext_noop("'%(attempts)s' of the mock of '%(name)s' is no attempt: write 0, or 1-3.")
)


class InvalidMock(ValueError):
    """The mocks are not written as they must be."""


class MockedFunctions:
    """Lambda functions, by name, each with what it does: `echo`, `return`, `raise`, `sleep_then_echo`, …

    `unknown` is what a function does whose name is not among them; without it there is no such function.
    """

    def __init__(self, functions: Sequence[Mapping[str, Json]], *, unknown: Mapping[str, Json] | None = None) -> None:
        self.unknown = unknown
        self.behaviours = {function["name"]: function["behaviour"] for function in functions}

    def call(self, call: Call, *, state: str, attempt: int) -> Answer:
        """Answer a call of a function, by its ARN or through the integration `lambda:invoke`."""
        if ":function:" in call.resource:
            return self.invoke(call.resource, call.arguments)
        if ":lambda:invoke" not in call.resource or not isinstance(call.arguments, dict):
            return Answer(failure=Failure(RUNTIME, f"Nothing is mocked for {call.resource}."))
        answer = self.invoke(str(call.arguments.get("FunctionName", "")), payload_of(call.arguments))
        return answer if answer.failure else Answer(as_invoked(answer.result), seconds=answer.seconds)

    def invoke(self, name: str, payload: Json) -> Answer:
        behaviour = self.behaviours.get(name.split(":function:")[-1].partition(":")[0], self.unknown)
        if behaviour is None:
            return Answer(failure=Failure("Lambda.ResourceNotFoundException", f"Function not found: {name}"))
        does = BEHAVIOURS.get(behaviour["op"])
        if does is None:
            raise InvalidMock(f"No function does {behaviour['op']!r}.")
        return does(behaviour, payload)


def payload_of(arguments: Mapping[str, Json]) -> Json:
    """What a function is given: a string is JSON already, and nothing is an empty object."""
    payload = arguments.get("Payload")
    if payload is None:
        return {}
    if isinstance(payload, str):
        try:
            return json.loads(payload)
        except ValueError:
            return payload
    return payload


def as_invoked(payload: Json) -> Json:
    """A result as `lambda:invoke` hands it on (Step Functions docs, "Invoke Lambda with Step Functions")."""
    length = str(size(payload))
    headers = {
        "Connection": "keep-alive",
        "Content-Length": length,
        "Content-Type": "application/json",
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "X-Amz-Executed-Version": "$LATEST",
        "X-Amzn-Trace-Id": "root=1-00000000-000000000000000000000000;sampled=0",
        "x-amzn-Remapped-Content-Length": "0",
        "x-amzn-RequestId": "00000000-0000-0000-0000-000000000000",
    }
    return {
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": "00000000-0000-0000-0000-000000000000"},
        "StatusCode": 200,
    }


def raised(behaviour: Mapping[str, Json], payload: Json) -> Answer:
    told = {
        "errorMessage": behaviour["errorMessage"],
        "errorType": behaviour["errorType"],
        "requestId": "00000000-0000-0000-0000-000000000000",
        "stackTrace": [],
    }
    return Answer(failure=Failure(behaviour["errorType"], json.dumps(told, separators=(",", ":"))))


BEHAVIOURS = {
    "echo": lambda behaviour, payload: Answer(payload),
    "return": lambda behaviour, payload: Answer(behaviour["value"]),
    "raise": raised,
    "return_large_string": lambda behaviour, payload: Answer(behaviour["char"] * behaviour["bytes"]),
    "sleep_then_echo": lambda behaviour, payload: Answer(payload, seconds=behaviour["seconds"]),
}


class MockedStates:
    """What states answer, by their names: one answer for every attempt, or one for each.

    `{"Pay": {"Return": {"ok": true}}}`, or by attempt as in Step Functions Local's mock files:
    `{"Pay": {"0": {"Throw": {"Error": "Busy", "Cause": "…"}}, "1-2": {"Return": {…}, "Seconds": 5}}}`.
    """

    def __init__(self, states: Mapping[str, Mapping[str, Json]]) -> None:
        self.states = {name: answers_of(name, mock) for name, mock in states.items()}

    def call(self, call: Call, *, state: str, attempt: int) -> Answer:
        for first, last, answer in self.states.get(state, ()):
            if first <= attempt and (last is None or attempt <= last):
                return answer
        sentence = f"Nothing is mocked for attempt {attempt} of the state {state!r} ({call.resource})."
        return Answer(failure=Failure(RUNTIME, sentence))


def answers_of(name: str, mock: Json) -> list[tuple[int, int | None, Answer]]:
    """Read one state's mock. Raises InvalidMock."""
    if not isinstance(mock, dict) or not mock:
        raise InvalidMock(MUST_SAY_HOW_OFTEN.of(name=name))
    if "Return" in mock or "Throw" in mock:
        return [(0, None, answer_in(name, mock))]
    answers: list[tuple[int, int | None, Answer]] = []
    for attempts, answer in mock.items():
        begins, dash, ends = attempts.partition("-")
        first, last = whole_number(begins), whole_number(ends if dash else begins)
        if first is None or last is None or not isinstance(answer, dict):
            raise InvalidMock(NO_ATTEMPT.of(name=name, attempts=attempts))
        answers.append((first, last, answer_in(name, answer)))
    return answers


def answer_in(name: str, mock: Mapping[str, Json]) -> Answer:
    seconds = mock.get("Seconds", 0)
    if "Throw" in mock:
        error = mock["Throw"]
        return Answer(failure=Failure(error.get("Error"), error.get("Cause")), seconds=seconds)
    if "Return" not in mock:
        raise InvalidMock(MUST_SAY.of(name=name))
    return Answer(mock["Return"], seconds=seconds)
