"""From events, customers and rules to the executions that they started, and back."""

from ops.models import Delivery, Execution, Rule, StateMachine, TargetKind
from ops.workflows.machines import ARN

LATEST = 20
UNREAD = ("input", "output", "walkers", "cause")  # what no list shows


def started_from(row: Execution) -> Delivery | None:
    """The call of a rule that started an execution."""
    if not row.event_id:
        return None
    found = Delivery.objects.filter(match__event_id=row.event_id, kind=TargetKind.STATE_MACHINE)
    return found.filter(result__execution=row.name).select_related("match__rule").first()


def started_by(event_id: str) -> list[Execution]:
    """The executions that rules started on an event."""
    calls = Delivery.objects.filter(match__event_id=event_id, kind=TargetKind.STATE_MACHINE, result__isnull=False)
    pairs = [(arn.rpartition(":")[2], result.get("execution")) for arn, result in calls.values_list("arn", "result")]
    found = Execution.objects.filter(
        machine__name__in=[machine for machine, _ in pairs], name__in=[name for _, name in pairs]
    )
    return list(found.select_related("machine").defer(*UNREAD))


def executions_for(*customer_ids: str | None) -> list[Execution]:
    """The latest executions that go back to one of these customers."""
    ids = [customer_id for customer_id in customer_ids if customer_id]
    if not ids:
        return []
    found = Execution.objects.filter(customer_id__in=ids).select_related("machine").defer(*UNREAD)
    return list(found.order_by("-started_at")[:LATEST])


def execution_of_key(key: str) -> int | None:
    """The execution that made a call under this key; None for a call of a rule's."""
    made, _colon, _number = key.rpartition(":")
    machine, colon, name = made.partition(":")
    if not colon:
        return None
    return Execution.objects.filter(machine__name=machine, name=name).values_list("pk", flat=True).first()


def targets_of(rule: Rule) -> dict[str, StateMachine]:
    """The state machines that a rule starts, by the names of its targets."""
    names = {
        target.name: target.arn.removeprefix(ARN)
        for target in rule.targets.all()
        if target.kind == TargetKind.STATE_MACHINE and target.arn.startswith(ARN)
    }
    machines = {machine.name: machine for machine in StateMachine.objects.filter(name__in=names.values())}
    return {target: machines[name] for target, name in names.items() if name in machines}
