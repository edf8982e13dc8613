from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "ops"
    verbose_name = "Operations"

    def ready(self) -> None:
        from billing.exposition import COLLECTORS
        from billing.inbox.settled import on_settled
        from ops.effects.destinations import checks  # noqa: F401 - registers them
        from ops.measures import RuleMeasures
        from ops.rules.nudge import DISPATCH

        on_settled(DISPATCH.soon)
        COLLECTORS.append(RuleMeasures)
