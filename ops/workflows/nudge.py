"""Telling the workers that executions are due. The sweep finds what a lost nudge left."""

from ops.rules.nudge import Nudge

ADVANCE = Nudge("ops.tasks.advance_due", "kessai:advance-nudge")
