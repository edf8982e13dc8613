"""Resources of Task states: which there are, and how they may be called. Pure.

Step Functions docs, "Integrating services with Step Functions": optimised integrations, each with the calls that it
offers and whether it can be waited for (.sync) or called back (.waitForTaskToken); `aws-sdk:` names every other call.
"""

import re

from ops.workflows.asl import reasons
from ops.workflows.asl.reasons import Reason

ARN = re.compile(r"arn:[\w-]+:(?P<service>[\w-]+):(?P<region>[\w-]*):(?P<account>\w*):(?P<rest>.+)")
INTEGRATION = re.compile(r"(?P<service>[\w-]+):(?P<call>[\w:]+?)(?P<how>\.sync(:2)?|\.waitForTaskToken)?")
SYNC, TOKEN = ".sync", ".waitForTaskToken"
OPTIMISED: dict[str, dict[str, tuple[str, ...]]] = {
    "apigateway": {"invoke": (TOKEN,)},
    "athena": {
        "startQueryExecution": (SYNC,),
        "stopQueryExecution": (),
        "getQueryExecution": (),
        "getQueryResults": (),
    },
    "batch": {"submitJob": (SYNC, TOKEN)},
    "bedrock": {
        "invokeModel": (TOKEN,),
        "createModelCustomizationJob": (SYNC,),
    },
    "codebuild": {
        "startBuild": (SYNC,),
        "stopBuild": (),
        "batchDeleteBuilds": (),
        "batchGetReports": (),
        "startBuildBatch": (SYNC,),
        "stopBuildBatch": (),
        "retryBuildBatch": (SYNC,),
        "deleteBuildBatch": (),
    },
    "databrew": {"startJobRun": (SYNC,)},
    "dynamodb": {"getItem": (), "putItem": (), "deleteItem": (), "updateItem": ()},
    "ecs": {"runTask": (SYNC, TOKEN)},
    "eks": {
        "call": (),
        "createCluster": (SYNC,),
        "createFargateProfile": (SYNC,),
        "createNodegroup": (SYNC,),
        "deleteCluster": (SYNC,),
        "deleteFargateProfile": (SYNC,),
        "deleteNodegroup": (SYNC,),
        "runJob": (SYNC,),
    },
    "elasticmapreduce": {
        "createCluster": (SYNC,),
        "setClusterTerminationProtection": (),
        "terminateCluster": (SYNC,),
        "addStep": (SYNC,),
        "cancelStep": (),
        "modifyInstanceFleetByName": (),
        "modifyInstanceGroupByName": (),
    },
    "emr-containers": {
        "createVirtualCluster": (),
        "deleteVirtualCluster": (SYNC,),
        "startJobRun": (SYNC,),
    },
    "emr-serverless": {
        "createApplication": (SYNC,),
        "startApplication": (SYNC,),
        "stopApplication": (SYNC,),
        "deleteApplication": (SYNC,),
        "startJobRun": (SYNC,),
        "cancelJobRun": (SYNC,),
    },
    "events": {"putEvents": (TOKEN,)},
    "glue": {"startJobRun": (SYNC,)},
    "http": {"invoke": ()},
    "lambda": {"invoke": (TOKEN,)},
    "mediaconvert": {"createJob": (SYNC,)},
    "s3": {"getObject": (), "listObjectsV2": (), "putObject": ()},  # of readers and writers
    "sagemaker": {
        "createEndpoint": (),
        "createEndpointConfig": (),
        "createHyperParameterTuningJob": (SYNC,),
        "createLabelingJob": (SYNC,),
        "createModel": (),
        "createProcessingJob": (SYNC,),
        "createTrainingJob": (SYNC,),
        "createTransformJob": (SYNC,),
        "updateEndpoint": (),
    },
    "sns": {"publish": (TOKEN,)},
    "sqs": {"sendMessage": (TOKEN,)},
    "states": {"startExecution": (SYNC, TOKEN)},
}


def resource_fault(resource: str, *, express: bool) -> Reason | None:
    """Return what is wrong with a Task's Resource; None where nothing is."""
    arn = ARN.fullmatch(resource)
    if not arn:
        return None if ":" in resource and "${" not in resource else unrecognised(resource)
    if arn["service"] != "states" or arn["region"]:
        return None  # a function, an activity, or another partition's way of naming one
    form = INTEGRATION.fullmatch(arn["rest"])
    if not form:
        return unrecognised(resource)
    if express and form["how"]:
        how = form["how"].removesuffix(":2")
        return reasons.NOT_IN_EXPRESS.of(how=how)
    if form["service"] == "aws-sdk":
        return None if form["how"] in (None, TOKEN) and ":" in form["call"] else unrecognised(resource)
    ways = OPTIMISED.get(form["service"], {}).get(form["call"])
    if ways is None or (form["how"] and form["how"].removesuffix(":2") not in ways):
        return unrecognised(resource)
    return None


def unrecognised(resource: str) -> Reason:
    return reasons.UNRECOGNISED.of(resource=resource)
