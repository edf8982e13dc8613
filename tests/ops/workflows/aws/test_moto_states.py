"""What `moto_states` joins is still apart in the moto that is installed; one that is not any more is to be dropped."""

import inspect

import pytest
from moto.stepfunctions import models as standing
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.jsonata import jsonata
from moto.stepfunctions.responses import StepFunctionResponse

APART = {
    "an execution gets an empty set of activities": lambda: "activity_store={}" in inspect.getsource(models),
    "there is no door for GetActivityTask": lambda: not hasattr(StepFunctionResponse, "get_activity_task"),
    "a failure loses its cause at the door": lambda: (
        "cause" not in inspect.getsource(StepFunctionResponse.send_task_failure)
    ),
    "nothing evaluates JSONata": lambda: jsonata._eval_jsonata is None,
    "stacks put their machines where none runs": lambda: (
        standing.stepfunctions_backends is not models.stepfunctions_parser_backends
    ),
    "no execution is redriven": lambda: not hasattr(StepFunctionResponse, "redrive_execution"),
}


@pytest.mark.parametrize("what", APART)
def test_is_still_so(what):
    assert APART[what](), f"moto does it now: drop what moto_states does instead ({what})"
