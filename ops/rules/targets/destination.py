"""Call an API destination by its name."""

from ops.effects.destinations.invoke import invoke
from ops.effects.outcome import Outcome
from ops.rules.resources import resource_of
from ops.rules.targets.call import TargetCall


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    parameters = dict(target.parameters.get("HttpParameters") or {})
    return invoke(resource.name, body=target.input, parameters=parameters, key=target.key, now=target.now)
