"""Start a state machine on AWS. The execution is named after the call's key, so that it starts once."""

from ops.effects import aws
from ops.effects.outcome import Done, Outcome
from ops.rules.resources import resource_of
from ops.rules.targets.call import TargetCall

THERE = "ExecutionAlreadyExists"


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    name = f"{target.rule_name[:40]}-{target.short_key[:32]}"  # at most 80 characters
    states = aws.client("stepfunctions", resource.region)
    try:
        answer = states.start_execution(stateMachineArn=target.arn, name=name, input=target.input)
    except aws.AwsTrouble as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") == THERE:
            return Done({"execution": name, "started": "before"})
        return aws.outcome_of(error)
    return Done({"execution": answer["executionArn"]})
