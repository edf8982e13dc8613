"""Calls to AWS: clients with time-outs, and what their errors mean for whoever called.

What EventBridge itself does not try again (a target that is gone, or that it may not call) is refused for good here
too (AWS docs, "Retrying event delivery").
"""

import threading
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from ops.effects.outcome import Outcome, Refused, Retry

AwsTrouble = (BotoCoreError, ClientError)
# Retries are the caller's, who keeps count and lets others go first.
CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=32)
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "KmsThrottled",
        "KMSThrottling",
        "LimitExceededException",
        "InternalFailure",
        "ServiceUnavailable",
    }
)
# Credentials that are being rolled: a person mends them, and the call comes through.
KEYS = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "RequestExpired"}
)
# For those who wait for one answer, and whom nobody asks again: botocore waits longer before each try, at random.
# What is asked this way may be asked twice.
PATIENT = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 5}))
_making = threading.Lock()


def client(service: str, region: str) -> Any:
    """The client of a service in a region; threads may share it. AWS's usual variables say where, and who we are."""
    with _making:  # boto3's default session makes one client at a time
        return made(service, region)


def patient(service: str, region: str) -> Any:
    """A client that tries again by itself where AWS throttles, is away, or does not answer in time."""
    with _making:
        return made(service, region, PATIENT)


@lru_cache(maxsize=64)
def made(service: str, region: str, config: Config = CONFIG) -> Any:
    return boto3.client(service, region_name=region, config=config)


def is_throttled(error: Exception) -> bool:
    """Whether AWS says that it is asked too often."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in THROTTLED


def outcome_of(error: Exception) -> Outcome:
    """What a call that ended in this error means: AWS's own code and sentence, or the name of the trouble."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        code, sentence = str(told.get("Code", "Unknown")), str(told.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        again = status >= 500 or code in THROTTLED or code in KEYS
        return Retry(said(code, sentence)) if again else Refused(said(code, sentence))
    if isinstance(error, ParamValidationError):
        return Refused(said("ParamValidationError", str(error)))
    return Retry(said(type(error).__name__, str(error)))


def said(code: str, sentence: str) -> str:
    return f"{code}: {sentence}"[:1000]
