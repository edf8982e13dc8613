"""Effects on CloudFormation stacks: one a subscription, built from a playbook's template, looked at, deleted.

A stack's name follows from its subscription, so that there is never a second one; its tags say whose it is and which
call made it, so that the same call again finds what it made (API reference, "CreateStack", ClientRequestToken: AWS
itself knows a token for a while only). One that cannot be built takes itself down (`OnFailure`).
"""

import json
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from botocore.exceptions import ClientError
from django.conf import settings

from billing.provisioning.models import Provision
from billing.provisioning.states import State
from ops.effects import aws
from ops.effects.outcome import Done, Outcome, Refused, Retry
from ops.effects.provisions import NONE_BEGUN, OfSubscription, none_begun
from ops.effects.registry import Call, effect
from ops.effects.templates import NoTemplate, template_of

KEY, SUBSCRIPTION, ORGANIZATION = "kessai:key", "kessai:subscription", "kessai:organization"
TIMEOUT_MINUTES = 30  # then CloudFormation itself takes the build for failed
COMPLETE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"})
GONE = "DELETE_COMPLETE"
ERRORS = NONE_BEGUN | {"CloudFormation.CODE": "AWS refused the call for good; CODE is its own, as in ValidationError."}


class CreateStack(OfSubscription, kw_only=True):
    """`template`: the playbook whose `stack.json` it is. `parameters` of the template besides `Subscription`."""

    template: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,64}$")]
    parameters: dict[str, Annotated[str, msgspec.Meta(max_length=4096)]] = {}


@effect(
    "create-stack",
    takes=CreateStack,
    errors=ERRORS
    | {
        "NoTemplate": "The playbook has no stack.json.",
        "NotWanted": "The subscription's provision is not being built, or no longer.",
    },
)
def create_stack(given: CreateStack, call: Call) -> Outcome:
    """Begin to build the stack of a subscription; wait for its status, or look with `describe-stack`.

    The result: `stack`, its ARN. While an earlier stack of the subscription is still there, the call is made again.
    """
    provision = Provision.objects.filter(subscription_id=given.subscription).select_related("organization").first()
    if provision is None:
        return none_begun(given.subscription)
    if provision.state != State.BUILDING:
        return Refused(f"NotWanted: what {given.subscription} has is not being built: it is {provision.state}.")
    try:
        template = template_of(given.template)
    except NoTemplate as error:
        return Refused(f"NoTemplate: {error}")
    tags = {KEY: call.key, SUBSCRIPTION: given.subscription, ORGANIZATION: provision.organization.public_id}
    parameters = {**given.parameters, "Subscription": given.subscription}
    try:
        answer = cloudformation().create_stack(
            StackName=name_of(given.subscription),
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Tags=[{"Key": name, "Value": value[:256]} for name, value in tags.items()],
            ClientRequestToken=sha256(call.key.encode()).hexdigest(),
            OnFailure="DELETE",
            TimeoutInMinutes=TIMEOUT_MINUTES,
        )
    except aws.AwsTrouble as error:
        return earlier(given, call) if code_of(error) == "AlreadyExistsException" else refused(error)
    return Done({"stack": answer["StackId"]})


def earlier(given: CreateStack, call: Call) -> Outcome:
    """A stack of this name is there: this very call made it, or an attempt before it, which has to be gone first."""
    try:
        stack = find(name_of(given.subscription))
    except aws.AwsTrouble as error:
        return refused(error)
    if stack and tags_of(stack).get(KEY) == call.key[:256]:
        return Done({"stack": stack["StackId"]})
    return Retry(f"StackExists: an earlier stack of {given.subscription} is still there.")


class OfStack(OfSubscription, kw_only=True):
    """`stack`: its ARN; without it, the subscription's by name, which is there only until it is deleted."""

    stack: Annotated[str, msgspec.Meta(pattern="^(arn:aws[a-z-]*:cloudformation:.{1,230})?$")] = ""


ANOTHERS = {"NotOfSubscription": "The stack is another subscription's."}


@effect("describe-stack", takes=OfStack, errors=ERRORS | ANOTHERS)
def describe_stack(given: OfStack, call: Call) -> Outcome:
    """Ask AWS how a stack stands: what an event told is a reason to look, this is the truth.

    The result: `phase` (`complete`, `working`, `failed`, `gone`), `status` and `reason` in AWS's words, `stack`, and
    `outputs` of the template by name.
    """
    try:
        stack = find(given.stack or name_of(given.subscription))
    except aws.AwsTrouble as error:
        return refused(error)
    if stack and is_anothers(stack, given.subscription):
        return not_of(given)
    told = described(stack, given)
    return Done(
        told if told["phase"] == "complete" else {**told, "reason": why_failed(told["stack"]) or told["reason"]}
    )


def why_failed(stack: str) -> str:
    """What AWS says of the first resource that could not be made; empty where it says nothing."""
    try:
        events = cloudformation().describe_stack_events(StackName=stack)["StackEvents"] if stack else []
    except aws.AwsTrouble:
        return ""  # it would have told people more; nothing hangs on it
    failed = [event for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    return str(min(failed, key=lambda event: event["Timestamp"]).get("ResourceStatusReason", "")) if failed else ""


@effect("delete-stack", takes=OfStack, errors=ERRORS | ANOTHERS)
def delete_stack(given: OfStack, call: Call) -> Outcome:
    """Begin to take a stack down; one that is gone, or was never there, stays so. The result is `describe-stack`'s."""
    try:
        stack = find(given.stack or name_of(given.subscription))
        if stack and is_anothers(stack, given.subscription):
            return not_of(given)
        if stack and stack["StackStatus"] not in (GONE, "DELETE_IN_PROGRESS"):
            token = sha256(call.key.encode()).hexdigest()
            cloudformation().delete_stack(StackName=stack["StackId"], ClientRequestToken=token)
            stack = find(stack["StackId"])
    except aws.AwsTrouble as error:
        return refused(error)
    return Done(described(stack, given))


def described(stack: dict[str, Any] | None, given: OfStack) -> dict[str, Any]:
    status = stack["StackStatus"] if stack else GONE
    outputs = {each["OutputKey"]: each["OutputValue"] for each in (stack or {}).get("Outputs", [])}
    return {
        "phase": phase_of(status),
        "status": status,
        "reason": (stack or {}).get("StackStatusReason", ""),
        "stack": stack["StackId"] if stack else given.stack,
        "outputs": outputs,
    }


def phase_of(status: str) -> str:
    """AWS CloudFormation User Guide, "Stack status codes": REVIEW_… and …_IN_PROGRESS go on by themselves."""
    if status in COMPLETE:
        return "complete"
    if status == GONE:
        return "gone"
    return "working" if status.endswith("_IN_PROGRESS") else "failed"


def find(name: str) -> dict[str, Any] | None:
    """The stack of this name or ARN; None where there is none. Raises what boto3 raises."""
    try:
        stacks = cloudformation().describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        # AWS has no code of its own for a stack that is not there.
        if code_of(error) == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return stacks[0] if stacks else None


def name_of(subscription: str) -> str:
    """A stack's name has letters, digits and hyphens, at most 128."""
    return f"kessai-{subscription.replace('_', '-')}"


def tags_of(stack: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}


def is_anothers(stack: dict[str, Any], subscription: str) -> bool:
    """Whether its tags do not name this subscription: nobody's stack is touched on another's account."""
    return tags_of(stack).get(SUBSCRIPTION) != subscription


def not_of(given: OfStack) -> Refused:
    return Refused(f"NotOfSubscription: the stack is not that of {given.subscription}.")


def cloudformation() -> Any:
    return aws.client("cloudformation", settings.AWS_REGION)


def code_of(error: Exception) -> str:
    """AWS's own code of an error; empty where AWS did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def refused(error: Exception) -> Outcome:
    outcome = aws.outcome_of(error)
    return Refused(f"CloudFormation.{outcome.error}") if isinstance(outcome, Refused) else outcome
