"""Every effect there is: importing this module registers them."""

from ops.effects import access, approval, email, foretell, instances, local, provisions, question, stacks, stripe
from ops.effects.registry import EFFECTS, Effect, by_arn

MODULES = (access, approval, email, foretell, instances, local, provisions, question, stacks, stripe)
# Effects that end inside this database.
AT_HOME = frozenset(module.__name__ for module in (access, approval, foretell, local, provisions))

__all__ = ["EFFECTS", "MODULES", "by_arn", "is_at_home"]


def is_at_home(effect: Effect) -> bool:
    """Whether a call of it calls nothing outside: it can be made at once, without a thread of its own."""
    return effect.run.__module__ in AT_HOME
