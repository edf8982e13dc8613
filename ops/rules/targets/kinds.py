"""Which module serves which kind of target."""

from collections.abc import Callable, Mapping

from ops.effects.outcome import Outcome
from ops.rules.models import TargetKind
from ops.rules.targets import bus, destination, effect, queue, state_machine, topic
from ops.rules.targets.call import TargetCall

CALLS: Mapping[str, Callable[[TargetCall], Outcome]] = {
    TargetKind.BUS: bus.call,
    TargetKind.TOPIC: topic.call,
    TargetKind.QUEUE: queue.call,
    TargetKind.STATE_MACHINE: state_machine.call,
    TargetKind.EFFECT: effect.call,
    TargetKind.DESTINATION: destination.call,
    TargetKind.ACTIVITY: effect.call,
    TargetKind.FINDING: effect.call,
}
# These touch our own rows alone: they are quick, and need no thread to wait in.
AT_HOME = frozenset({TargetKind.ACTIVITY, TargetKind.FINDING})
