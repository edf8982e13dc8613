"""Events as lines of JSON in a compressed file, and the name of that file. The same events make the same lines."""

import gzip
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

HOUR = timedelta(hours=1)
IN_MEMORY = 8_000_000  # bytes; larger files stand on disk while they are made
CHUNK = 1 << 20


class Damaged(Exception):
    """An archived file is not what was put there."""


@dataclass(frozen=True)
class Packed:
    """A compressed file, open at its beginning."""

    file: IO[bytes]
    events: int
    length: int  # bytes, compressed
    sha256: str  # hexadecimal, of the lines before they were compressed
    file_sha256: bytes  # of the compressed file


def pack(lines: Iterable[str]) -> Packed:
    """Write lines of JSON into a compressed temporary file. The caller closes it."""
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - handed to the caller
    digest = hashlib.sha256()
    events = 0
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
        for events, line in enumerate(lines, start=1):  # noqa: B007 - the last number is how many
            written = line.encode() + b"\n"
            digest.update(written)
            packed.write(written)
    return Packed(file, events, file.tell(), digest.hexdigest(), digest_of(file))


def digest_of(file: IO[bytes]) -> bytes:
    """Return the SHA-256 of a file; it stands at its beginning afterwards."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.digest()


def unpack(file: IO[bytes], *, sha256: str) -> Iterator[str]:
    """Yield the lines of a compressed file. Raises Damaged, at its end or before, when they are not the ones packed."""
    digest = hashlib.sha256()
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            for line in lines:
                digest.update(line)
                yield line.decode()
    except (EOFError, OSError) as error:
        raise Damaged(f"The file cannot be read to its end: {error}") from error
    if digest.hexdigest() != sha256:
        raise Damaged("The file does not hold the lines that were put there.")


def key_of(prefix: str, hour: datetime, *, source: str, owner: str, sha256: str) -> str:
    """Return the name of an hour's file. Its last part says what is in it: what was uploaded twice has one name."""
    return f"{folder_of(prefix, hour)}{plain(source)}--{plain(owner) or 'primary'}--{sha256[:16]}.ndjson.gz"


def folder_of(prefix: str, hour: datetime) -> str:
    return f"{prefix}{hour:%Y/%m/%d/%H}/"


def plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
