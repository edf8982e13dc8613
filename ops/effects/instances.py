"""Effects on EC2 instances: start and stop the one that a subscription pays for.

AWS takes both for done where they are done already (API reference, "StartInstances", "StopInstances"). Only an
instance whose tags name the subscription is touched.
"""

from typing import Annotated, Any

import msgspec
from django.conf import settings

from ops.effects import aws
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.provisions import OfSubscription
from ops.effects.registry import Call, effect
from ops.effects.stacks import SUBSCRIPTION, code_of

ERRORS = {
    "NoSuchInstance": "AWS has no instance of this id, or it was terminated.",
    "NotOfSubscription": "The instance's tags do not name this subscription.",
    "Ec2.CODE": "AWS refused the call for good; CODE is its own, as in UnsupportedOperation.",
}
NOT_THERE = frozenset({"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"})
ENDED = frozenset({"terminated", "shutting-down"})
# It is on its way from one state to another, and will take the call a little later.
BETWEEN = frozenset({"IncorrectInstanceState", "InsufficientInstanceCapacity"})


class OfInstance(OfSubscription, kw_only=True):
    """Which instance, and the subscription that pays for it."""

    instance: Annotated[str, msgspec.Meta(pattern="^i-[0-9a-f]{8,17}$")]


@effect("start-instance", takes=OfInstance, errors=ERRORS)
def start_instance(given: OfInstance, call: Call) -> Outcome:
    """Start an instance; one that runs goes on. The result: `instance`, and its `state` in AWS's word."""
    return bring(given, action="start_instances", answers="StartingInstances")


@effect("stop-instance", takes=OfInstance, errors=ERRORS)
def stop_instance(given: OfInstance, call: Call) -> Outcome:
    """Stop an instance, which keeps its disks; one that stands still goes on doing so. The result as for starting."""
    return bring(given, action="stop_instances", answers="StoppingInstances")


def bring(given: OfInstance, *, action: str, answers: str) -> Outcome:
    ec2 = aws.client("ec2", settings.AWS_REGION)
    try:
        found = ec2.describe_instances(InstanceIds=[given.instance])["Reservations"]
        instance = found[0]["Instances"][0] if found else {}
        if not instance or instance["State"]["Name"] in ENDED:
            return no_such(given)
        if tags_of(instance).get(SUBSCRIPTION) != given.subscription:
            return Refused(f"NotOfSubscription: {given.instance} is not that of {given.subscription}.")
        [changed] = getattr(ec2, action)(InstanceIds=[given.instance])[answers]
    except aws.AwsTrouble as error:
        return refused(given, error)
    return Done({"instance": given.instance, "state": changed["CurrentState"]["Name"]})


def tags_of(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def no_such(given: OfInstance) -> Refused:
    return Refused(f"NoSuchInstance: AWS has no {given.instance} that could be started or stopped.")


def refused(given: OfInstance, error: Exception) -> Outcome:
    code = code_of(error)
    if code in NOT_THERE:
        return no_such(given)
    outcome = aws.outcome_of(error)
    if not isinstance(outcome, Refused):
        return outcome
    return Retry(outcome.error) if code in BETWEEN else Refused(f"Ec2.{outcome.error}")
