"""Call an effect: one of `ops.effects.registry`. News for an organization and findings are effects too."""

from ops.effects.known import by_arn
from ops.effects.outcome import Done, Later, Outcome, Refused
from ops.effects.registry import Call
from ops.rules.targets.call import TargetCall


def call(target: TargetCall) -> Outcome:
    effect = by_arn(target.arn)
    if effect is None:
        return Refused(f"NoSuchEffect: nothing is registered under {target.arn}.")
    outcome = effect.call(
        target.input,
        Call(
            key=target.key,
            now=target.now,
            cause=target.rule_name,
            event_id=target.event_id,
            customer_id=target.customer_id,
            depth=target.depth,
        ),
    )
    # Only a workflow's call waits: such an effect refuses a rule's.
    return Done() if isinstance(outcome, Later) else outcome
