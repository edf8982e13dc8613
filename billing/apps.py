"""Billing's start."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        from billing.mirror.living import leave_out_what_is_gone
        from billing.mirror.relink import follow_links
        from billing.stripe_client import set_up_stripe_library

        set_up_stripe_library()
        follow_links()
        leave_out_what_is_gone()
