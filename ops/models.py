"""The models of the operations' rooms, gathered where Django looks for them."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ops.effects.destinations.models import (
    Authorization,
    BreakerState,
    Came,
    ClientPlace,
    Connection,
    ConnectionParameter,
    ConnectionToken,
    Destination,
    DestinationHealth,
    DestinationRequest,
    Method,
    Origin,
    Place,
    TokenMethod,
)
from ops.effects.mail.models import Mail, MailState
from ops.playbooks.trials.models import PlaybookTrial, TrialState, TriedRun
from ops.questions.models import Answer, Question, QuestionLink
from ops.remediation.models import Approval, Decision, Finding, FindingKind, Severity
from ops.rules.models import Delivery, DeliveryState, Match, Mode, Rule, RuleState, RuleVersion, Target, TargetKind
from ops.workflows.aws.models import ActivityTask, DeployedMachine, ExecutionOnAws, MapRunOnAws, TaskState
from ops.workflows.models import (
    CallState,
    EventWait,
    Execution,
    HistoryEvent,
    MapRun,
    StateMachine,
    StateMachineVersion,
    Status,
    TaskCall,
)

__all__ = [
    "ActivityTask",
    "Answer",
    "Approval",
    "Authorization",
    "BreakerState",
    "CallState",
    "Came",
    "ClientPlace",
    "Connection",
    "ConnectionParameter",
    "ConnectionToken",
    "Decision",
    "Delivery",
    "DeliveryState",
    "DeployedMachine",
    "Destination",
    "DestinationHealth",
    "DestinationRequest",
    "EventWait",
    "Execution",
    "ExecutionOnAws",
    "Finding",
    "FindingKind",
    "HistoryEvent",
    "Mail",
    "MailState",
    "MapRun",
    "MapRunOnAws",
    "Match",
    "Method",
    "Mode",
    "Origin",
    "Place",
    "PlaybookTrial",
    "Question",
    "QuestionLink",
    "Rule",
    "RuleState",
    "RuleVersion",
    "Severity",
    "StaffAct",
    "StateMachine",
    "StateMachineVersion",
    "Status",
    "Target",
    "TargetKind",
    "TaskCall",
    "TaskState",
    "TokenMethod",
    "TrialState",
    "TriedRun",
]


class StaffAct(models.Model):
    """An operator's act: who, when, why, what before, what after. Rows are written once and never changed."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    act = models.CharField(_("act"), max_length=64)  # noun:verb
    subject_kind = models.CharField(_("kind"), max_length=64)
    subject_id = models.CharField(_("subject"), max_length=255)
    reason = models.TextField(_("reason"), blank=True, default="")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("staff act")
        verbose_name_plural = _("staff acts")
        indexes = [models.Index(fields=["subject_id", "-at"], name="staff_act_by_subject")]

    def __str__(self) -> str:
        return f"{self.act} {self.subject_id}"
