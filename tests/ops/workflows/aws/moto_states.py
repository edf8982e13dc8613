"""moto's server with Step Functions that run, activities included; as a program, it takes its port.

moto 5.2.5 runs definitions and knows how to wait for activities, but gives each execution an empty set of them, has no
door for GetActivityTask, drops the cause of a failure at its door, leaves the place of its JSONata evaluator empty, and
puts a stack's machines among those that do not run. This joins the parts: nothing of how a state runs is changed.
`test_moto_states` says when moto does one of these itself. Besides, its SendTaskHeartbeat calls the token of a state
without HeartbeatSeconds invalid, and it knows no redrives.
"""

import sys
import time

from jsonata import Jsonata
from moto.core.config import default_user_config
from moto.core.responses import ActionResult, EmptyResult
from moto.server import main
from moto.stepfunctions import models as standing
from moto.stepfunctions.parser import models
from moto.stepfunctions.parser.asl.eval.callback.callback import ActivityCallbackEndpoint
from moto.stepfunctions.parser.asl.jsonata import jsonata
from moto.stepfunctions.parser.backend.activity import Activity
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.responses import StepFunctionResponse

POLL_SECONDS = 2  # Step Functions' own takes 60; a worker must not care


class Activities(dict):
    """The queues of tasks of all activities."""

    def get(self, arn, default=None):
        return self.setdefault(arn, Activity(arn, arn.rpartition(":")[2]))


ACTIVITIES = Activities()


class ExecutionWithActivities(Execution):
    def __init__(self, **given):
        super().__init__(**given | {"activity_store": ACTIVITIES})


def get_activity_task(self):
    arn, worker = self._get_param("activityArn"), self._get_param("workerName")
    self.stepfunction_backend.describe_activity(arn)  # or says that it is not there
    deadline = time.monotonic() + POLL_SECONDS
    while time.monotonic() < deadline:
        try:
            task = ACTIVITIES.get(arn).get_task()
        except IndexError:
            time.sleep(0.02)
            continue
        started(self.stepfunction_backend, task.task_token, worker)
        return ActionResult({"taskToken": task.task_token, "input": task.task_input})
    return ActionResult({})


def send_task_failure(self):
    token, error, cause = (self._get_param(name) for name in ("taskToken", "error", "cause"))
    self.stepfunction_backend.send_task_failure(token, error=error, cause=cause)
    return EmptyResult()


def started(backend, token, worker):
    """Tell the execution that somebody has the task; it may be putting the token down at this very moment."""
    for _ in range(400):
        workers = [execution.exec_worker for execution in backend._get_executions()]
        environments = [each.env for each in workers if each is not None and each.env is not None]
        for environment in environments:
            endpoint = environment.callback_pool_manager.get(token)
            if isinstance(endpoint, ActivityCallbackEndpoint):
                endpoint.notify_activity_task_start(worker_name=worker)
                return
        time.sleep(0.005)


if __name__ == "__main__":
    standing.stepfunctions_backends = models.stepfunctions_parser_backends
    models.Execution = ExecutionWithActivities
    StepFunctionResponse.get_activity_task = get_activity_task
    StepFunctionResponse.send_task_failure = send_task_failure
    jsonata._eval_jsonata = lambda expression: Jsonata(expression).evaluate(None)
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
