"""Publish to an SNS topic."""

from typing import Any

from ops.effects import aws
from ops.effects.outcome import Done, Outcome
from ops.rules.resources import resource_of
from ops.rules.targets.call import TargetCall


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    more: dict[str, Any] = {}
    if resource.is_fifo:
        more = {"MessageGroupId": target.group(), "MessageDeduplicationId": target.short_key}
    attributes = {"kessai-key": {"DataType": "String", "StringValue": target.key}}
    try:
        answer = aws.client("sns", resource.region).publish(
            TopicArn=target.arn, Message=target.input, MessageAttributes=attributes, **more
        )
    except aws.AwsTrouble as error:
        return aws.outcome_of(error)
    return Done({"message": answer["MessageId"]})
