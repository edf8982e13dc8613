"""Step Functions' history events as the portal keeps its own. Pure.

API reference, "HistoryEvent": each type has details under a key of its own, with JSON in texts.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ops.workflows.aws.moving import FROM, INPUT
from ops.workflows.aws.places import Place
from ops.workflows.history import event as row_of
from ops.workflows.integrations import INTEGRATION

Json = Any
AS_THEY_ARE = ("error", "cause", "length", "index", "timeoutInSeconds", "heartbeatInSeconds", "redriveCount")


def row(execution: int, event: Mapping[str, Json], place: Place) -> dict[str, Json]:
    """A history event as a row of `ops.workflows.history`."""
    type_, details = str(event["type"]), details_of(event)
    at: datetime = event["timestamp"]
    told = read_details(type_, details, place)
    name = str(details.get("name") or "")
    return row_of(execution, event["id"], event.get("previousEventId", 0), type_, name, told, at)


def details_of(event: Mapping[str, Json]) -> Mapping[str, Json]:
    """The event's own details, under whichever key they stand."""
    return next((value for key, value in event.items() if key.endswith("EventDetails") and value), {})


def read_details(type_: str, details: Mapping[str, Json], place: Place) -> dict[str, Json]:
    told = {key: details[key] for key in AS_THEY_ARE if details.get(key) is not None}
    for key in ("input", "output", "parameters"):
        if details.get(key) is not None:
            told[key] = read_json(details[key])
    if "assignedVariables" in details:
        told["assignedVariables"] = {name: read_json(text) for name, text in details["assignedVariables"].items()}
    if details.get("resource"):
        told["resource"] = resource_of(details, place)
    if type_.endswith("Scheduled") and "input" in told:  # of activities and functions; the portal's own word is another
        told["parameters"] = arguments_of(told.pop("input"))
    return told


def read_json(text: Json) -> Json:
    """What a text holds; the text itself where it was cut, or is none of JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def resource_of(details: Mapping[str, Json], place: Place) -> str:
    resource = str(details["resource"])
    if resource.startswith("arn:"):
        return place.at_home(resource)
    return f"{INTEGRATION}{details.get('resourceType', '')}:{resource}"


def arguments_of(given: Json) -> Json:
    """What an effect was called with, without what the moved definition sends along."""
    return given.get(INPUT) if isinstance(given, dict) and FROM in given else given
