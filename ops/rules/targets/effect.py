"""Call an effect: one of `ops.effects.registry`. News for an organization and findings are effects too."""

from ops.effects import access, email, instances, local, provisions, stacks, stripe
from ops.effects.outcome import Outcome, Refused
from ops.effects.registry import EFFECTS, Call, by_arn
from ops.rules.targets.call import TargetCall

# Importing a module of effects registers them.
__all__ = ["EFFECTS", "access", "call", "email", "instances", "local", "provisions", "stacks", "stripe"]


def call(target: TargetCall) -> Outcome:
    effect = by_arn(target.arn)
    if effect is None:
        return Refused(f"NoSuchEffect: nothing is registered under {target.arn}.")
    return effect.call(
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
