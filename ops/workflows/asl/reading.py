"""A distributed Map's items out of what its ItemReader read. Pure.

Step Functions docs, "ItemReader": JSON (a list), JSONL, CSV (header in the first line or given), the objects of a
bucket (listObjectsV2), at most MaxItems of them.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from ops.workflows.asl.errors import ITEM_READER, StateFailed

Json = Any
DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def items_in(content: Json, config: Mapping[str, Json], *, most: int | None) -> Json:
    """Return the items: `content` is an answer of S3's, or the list itself. Raises StateFailed.

    Anything else than a list goes back as it is: the Map says what it thinks of it.
    """
    if isinstance(content, dict) and isinstance(content.get("Body"), str):
        content = parsed(content["Body"], config)
    elif isinstance(content, dict) and ("Contents" in content or "KeyCount" in content):
        content = content.get("Contents", [])
    return content[:most] if isinstance(content, list) and most is not None else content


def parsed(text: str, config: Mapping[str, Json]) -> Json:
    kind = config.get("InputType", "JSON")
    try:
        if kind == "CSV":
            return rows(text, config)
        if kind == "JSONL":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        if kind == "JSON":
            return json.loads(text)
    except (ValueError, csv.Error) as error:
        raise StateFailed(ITEM_READER, f"Attempting to map over invalid {kind}: {error}", located=False) from None
    raise StateFailed(ITEM_READER, f"The InputType {kind} is not read here.", located=False)


def rows(text: str, config: Mapping[str, Json]) -> list[Json]:
    delimiter = DELIMITERS.get(config.get("CSVDelimiter", "COMMA"), ",")
    lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter) if line]
    if config.get("CSVHeaderLocation", "FIRST_ROW") == "GIVEN":
        header = config.get("CSVHeaders", [])
    else:
        header, lines = (lines[0], lines[1:]) if lines else ([], [])
    return [{name: line[at] if at < len(line) else "" for at, name in enumerate(header)} for line in lines]
