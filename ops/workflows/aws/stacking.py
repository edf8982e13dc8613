"""Which state machines go into a stack: those that are named, and all that they and its rules start."""

import json
from collections.abc import Iterable
from typing import Any

from ops.effects.destinations.models import Connection, Destination
from ops.rules.cloudformation.template import Template, Workflows, template_of
from ops.rules.documents import Document
from ops.rules.resources import resource_of
from ops.workflows.aws.deploy import CannotDeploy, served
from ops.workflows.aws.permissions import Unknown
from ops.workflows.aws.places import LOCAL
from ops.workflows.aws.template import connections_of, moves_into_stack
from ops.workflows.models import StateMachine

Json = Any


def stack_of(documents: list[Document], machines: Iterable[str] = ()) -> Template:
    """The template of rules and machines with all that these start. Raises CannotDeploy with every reason."""
    destinations = Destination.objects.select_related("connection").prefetch_related("connection__parameters")
    workflows = workflows_of({*machines, *started_by(documents)})
    try:
        return template_of(documents, destinations, workflows)
    except Unknown as error:
        raise CannotDeploy([str(error)])


def started_by(documents: Iterable[Document]) -> set[str]:
    """The names of the portal's own machines that rules start."""
    called = [resource_of(target["Arn"]) for document in documents for target in document.get("Targets", ())]
    return {each.name for each in called if each.kind == "state-machine" and each.is_local}


def workflows_of(names: set[str]) -> Workflows:
    rows = {row.name: row for row in StateMachine.objects.select_related("current", "tried")}
    definitions, missing = with_children(names, rows)
    connections = list(
        Connection.objects.prefetch_related("parameters").filter(name__in=connections_of(definitions.values()))
    )
    moves = moves_into_stack(definitions, effects=served(), connections=connections)
    against = [f"There is no state machine {name} with a version here." for name in sorted(missing)]
    against += [sentence for move in moves for sentence in move.cannot]
    if against:
        raise CannotDeploy(against)
    for move in moves:
        row = rows[move.name]
        if row.tried_id and row.tried_percent:
            move.said.append(
                f"{move.name}: a stack has one version of a machine; that {row.tried_percent} % of executions try "
                "another does not move. manage.py workflows deploy does that."
            )
    return Workflows(moves, connections)


def with_children(names: set[str], rows: dict[str, StateMachine]) -> tuple[dict[str, Json], set[str]]:
    """The current definitions of machines and of all that they start; and the names of those that are not here."""
    definitions: dict[str, Json] = {}
    missing, left = set(), set(names)
    while left:
        name = left.pop()
        row = rows.get(name)
        if row is None or row.current is None:
            missing.add(name)
            continue
        definitions[name] = json.loads(row.current.definition)
        started = {each["name"] for each in LOCAL.finditer(row.current.definition) if each["kind"] == "stateMachine"}
        left |= started - set(definitions) - missing
    return dict(sorted(definitions.items())), missing
