"""Who listens to the mirror's rows hears of them, though they are written in bulk."""

from collections.abc import Sequence

from billing.mirror.kinds import Ref


def after_write(written: Sequence[tuple[Ref, bool]]) -> None:
    """Tell the listeners of the written objects' models; each with whether its row is new."""
