"""What operators do with servers: start, stop, delete before the day. Through the effects that workflows call, audited.

Start and stop ask AWS at once. A deletion takes AWS minutes: it is left to an execution of the workflow that deletes
what has ended, which tells when it is done and calls somebody where it cannot.
"""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _
from djstripe.models import Subscription

from accounts.models import User
from billing.provisioning import keep
from billing.provisioning.models import Provision
from billing.provisioning.states import State
from ops.audit import DELETE_SERVER, START_SERVER, STOP_SERVER, record_act
from ops.effects.outcome import Done
from ops.effects.provisions import told
from ops.effects.registry import ARN, Call, by_arn
from ops.workflows.asl.written import written
from ops.workflows.machines import NoVersion
from ops.workflows.models import StateMachine
from ops.workflows.start import Cause, start

ENDS = "hosting-end"  # the workflow that deletes what has ended
MAY = {"start": (State.STOPPED,), "stop": (State.READY,), "delete": (State.ENDING,)}


class CannotActOnServer(Exception):
    """The server does not stand so that this could be done, or AWS refused. The text says why."""


def start_server(provision: Provision, actor: User, *, reason: str, now: datetime) -> None:
    """Start a server that stands still, whatever is owed. Raises CannotActOnServer."""
    check(provision, "start")
    call_aws("start-instance", provision, now=now)
    settle(provision, State.READY, actor, START_SERVER, reason=reason, now=now)


def stop_server(provision: Provision, actor: User, *, reason: str, now: datetime) -> None:
    """Stop a server that runs; it keeps its disks. Raises CannotActOnServer."""
    check(provision, "stop")
    call_aws("stop-instance", provision, now=now)
    settle(provision, State.STOPPED, actor, STOP_SERVER, reason=reason, now=now)


def delete_server(provision: Provision, actor: User, *, reason: str, now: datetime) -> None:
    """Delete what is kept for now, at once instead of on its day. Raises CannotActOnServer."""
    with transaction.atomic():
        row = Provision.objects.select_for_update().get(pk=provision.pk)
        check(row, "delete")
        if told(row)["wanted"] != "gone":
            raise CannotActOnServer(
                _("Its plan has a server again: it is about to be started. Look again in a minute.")
            )
        before = row.delete_at
        row.delete_at = now
        row.save(update_fields=["delete_at"])
        machine = StateMachine.objects.filter(name=ENDS).first()
        try:
            if machine is None:
                raise NoVersion
            name = f"{row.subscription_id}-{int(now.timestamp())}"[:80]
            given = {"subscription": row.subscription_id, "keepDays": 0}
            start(machine, name, given, now=now, cause=Cause(customer_id=customer_of(row)))
        except NoVersion as error:
            sentence = _("The workflow %(name)s is not here: apply the playbook hosting first.") % {"name": ENDS}
            raise CannotActOnServer(sentence) from error
        seen = {"state": row.state, "delete_at": before.isoformat() if before else ""}
        act(row, actor, DELETE_SERVER, reason, before=seen, after={"delete_at": now.isoformat()}, now=now)


def customer_of(provision: Provision) -> str:
    """Whose subscription it is, as the mirror knows it: the execution stands among the customer's."""
    found = Subscription.objects.filter(id=provision.subscription_id).values_list("customer_id", flat=True)
    return found.first() or ""


def check(provision: Provision, what: str) -> None:
    if State(provision.state) not in MAY[what]:
        state = {"state": provision.get_state_display()}
        raise CannotActOnServer(_("The server is in another state by now: %(state)s.") % state)
    if what != "delete" and not provision.instance_id:
        raise CannotActOnServer(_("It is not known which instance it is; look at its stack at AWS."))


def call_aws(name: str, provision: Provision, *, now: datetime) -> None:
    """Call an effect in a person's place. Must not be called in a transaction."""
    effect = by_arn(ARN + name)
    if effect is None:
        raise LookupError(name)
    given = {"subscription": provision.subscription_id, "instance": provision.instance_id}
    key = f"console:{name}:{provision.subscription_id}:{int(now.timestamp())}"
    outcome = effect.call(written(given), Call(key=key, now=now, cause="console"))
    if not isinstance(outcome, Done):
        error = getattr(outcome, "error", "")
        raise CannotActOnServer(_("AWS did not do it: %(error)s") % {"error": error})


def settle(provision: Provision, state: State, actor: User, what: str, *, reason: str, now: datetime) -> None:
    with transaction.atomic():
        was = provision.state
        held = state is State.STOPPED
        row = keep.change(provision.subscription_id, state, keep.Facts(), now=now, held=held)
        act(row, actor, what, reason, before={"state": was}, after={"state": row.state}, now=now)


def act(
    row: Provision, actor: User, what: str, reason: str, *, before: dict[str, str], after: dict[str, str], now: datetime
) -> None:
    record_act(
        actor,
        what,
        subject_kind="server",
        subject_id=row.subscription_id,
        reason=reason,
        before=before,
        after=after,
        now=now,
    )
