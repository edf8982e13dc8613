"""Send to an SQS queue."""

from functools import lru_cache
from typing import Any

from ops.effects import aws
from ops.effects.outcome import Done, Outcome
from ops.rules.resources import Resource, resource_of
from ops.rules.targets.call import TargetCall


def call(target: TargetCall) -> Outcome:
    resource = resource_of(target.arn)
    more: dict[str, Any] = {}
    if resource.is_fifo:
        more = {"MessageGroupId": target.group(), "MessageDeduplicationId": target.short_key}
    attributes = {"kessai-key": {"DataType": "String", "StringValue": target.key}}
    try:
        answer = aws.client("sqs", resource.region).send_message(
            QueueUrl=url_of(resource), MessageBody=target.input, MessageAttributes=attributes, **more
        )
    except aws.AwsTrouble as error:
        url_of.cache_clear()  # the queue may have been made anew under another address
        return aws.outcome_of(error)
    return Done({"message": answer["MessageId"]})


@lru_cache(maxsize=1024)
def url_of(resource: Resource) -> str:
    """SQS wants the queue's address where everybody else takes its ARN."""
    answer = aws.client("sqs", resource.region).get_queue_url(
        QueueName=resource.name, QueueOwnerAWSAccountId=resource.account
    )
    return str(answer["QueueUrl"])
