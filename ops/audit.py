"""The one place where operators' acts are written down."""

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import User
from ops.models import StaffAct

GIVE_EXECUTION_RESULT = "execution:give-result"  # an operator says what the state that failed would have given
PAUSE_EXECUTION = "execution:pause"
REDRIVE_EXECUTION = "execution:redrive"  # an execution that failed goes on from the state that failed
RESUME_EXECUTION = "execution:resume"
STOP_EXECUTION = "execution:stop"
SKIP_STATE = "execution:skip"  # an operator lets an execution go on after the state that failed
START_AGAIN = "execution:start-again"  # an operator starts another execution with the same input
ANSWER_CALL = "execution:answer"  # an operator answers a call in place of whom it waits for
CHANGE_MACHINE = "state-machine:change"  # a new version, or another share of new executions for one
APPROVE = "approval:approve"  # an operator says yes to what a workflow asked
REFUSE = "approval:refuse"
START_SERVER = "server:start"  # an operator starts the server that a subscription pays for
STOP_SERVER = "server:stop"
DELETE_SERVER = "server:delete"  # an operator deletes what is kept for now before its day
SEND_MAIL_AGAIN = "mail:send-again"  # an operator sends a mail that was not sent
PUT_MAIL_ASIDE = "mail:put-aside"  # an operator says that it is not to be sent any more
ACKNOWLEDGE_FINDING = "finding:acknowledge"  # an operator sees to a problem
CHANGE_RULE = "rule:change"  # an operator makes a rule, changes it, or switches it
CLOSE_FINDING = "finding:close"  # an operator says that what a rule found is done
TEST_DESTINATION = "destination:test"  # an operator sends a test
REPLAY_REQUEST = "destination-request:replay"  # an operator makes a logged request once more
ROLL_SIGNING = "signing-secret:roll"  # an operator gives a destination a new secret to sign with
DELETE_ASIDE = "aside-message:delete"  # an operator removes a message that was no event
DELETE_RULE = "rule:delete"  # an operator removes a rule, and with it what it matched
REDRIVE_CALLS = "rule-calls:redrive"  # somebody lets calls that were given up be tried again
REPLAY_RULE = "rule:replay"  # somebody lets a rule fire on events of the past
REPLAY_FILTERED = "inbox-events:replay"  # an operator replays all events that a filter shows
REPLAY_EVENT = "inbox-event:replay"  # an operator lets the mirror look at a stored event again


def record_act(
    actor: User | None,
    act: str,
    *,
    subject_kind: str,
    subject_id: str,
    reason: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> StaffAct:
    """Write down who did what to which subject, why, and what was so before and after; nobody: at the command line.

    Must be called inside the transaction of the act itself, so that neither stands without the other:
    raises `TransactionManagementError` outside of one.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An operator's act is recorded in the act's own transaction.")
    return StaffAct.objects.create(
        actor=actor,
        act=act,
        subject_kind=subject_kind,
        subject_id=subject_id,
        reason=reason,
        before=before,
        after=after,
        at=now,
    )
