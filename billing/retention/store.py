"""The archive in S3, or in anything that speaks S3. Nothing here touches the database."""

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from billing.retention.pack import Damaged, Packed, unpack

TIMEOUT_SECONDS = 20
SHA256 = "sha256"  # the name of the lines' checksum in an object's metadata
AWAY = (BotoCoreError, ClientError)


class NoArchive(Exception):
    """No archive is configured (INBOX_ARCHIVE_BUCKET). Nothing is dropped without one."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass(frozen=True)
class Archive:
    bucket: str
    prefix: str

    def put(self, key: str, packed: Packed) -> None:
        """Upload a file; S3 refuses it when it does not arrive as it was (`ChecksumSHA256`)."""
        s3().put_object(
            Bucket=self.bucket,
            Key=key,
            Body=packed.file,
            ContentLength=packed.length,
            ContentType="application/x-ndjson",
            ContentEncoding="gzip",
            ChecksumSHA256=base64.b64encode(packed.file_sha256).decode(),
            Metadata={SHA256: packed.sha256, "events": str(packed.events)},
        )

    def verify(self, key: str, packed: Packed) -> None:
        """Ask the archive whether it holds just this file. Raises Damaged when it does not."""
        head = s3().head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        ours = (packed.length, packed.sha256, base64.b64encode(packed.file_sha256).decode())
        theirs = (head["ContentLength"], head["Metadata"].get(SHA256), head.get("ChecksumSHA256", ours[2]))
        if ours != theirs:
            raise Damaged(f"The archive holds something else than was put there: {key}")

    def keys(self, folder: str) -> Iterator[str]:
        """Yield the names of the files whose name begins with `folder`."""
        pages = s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", ()))

    def lines(self, key: str) -> Iterator[str]:
        """Yield the lines of a file. Raises Damaged when they are not those that were put there."""
        answer = s3().get_object(Bucket=self.bucket, Key=key)
        with closing(answer["Body"]) as body:
            yield from unpack(body, sha256=answer["Metadata"].get(SHA256, ""))


def archive() -> Archive:
    """Return the configured archive. Raises NoArchive."""
    if not settings.INBOX_ARCHIVE_BUCKET:
        raise NoArchive
    return Archive(settings.INBOX_ARCHIVE_BUCKET, settings.INBOX_ARCHIVE_PREFIX)


def s3() -> Any:
    return client(settings.INBOX_ARCHIVE_ENDPOINT)


@lru_cache(maxsize=4)
def client(endpoint: str) -> Any:
    """Return the client of an endpoint; an empty one leaves it to boto3's own configuration (AWS_ENDPOINT_URL too)."""
    times = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"mode": "standard"})
    return boto3.client("s3", endpoint_url=endpoint or None, config=times)
