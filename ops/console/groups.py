"""The operators' groups: who sees what and who may act. Written by `manage.py console_groups`."""

from collections.abc import Mapping, Sequence

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

VIEW_CUSTOMERS = (
    "accounts.view_organization", "accounts.view_membership", "accounts.view_invitation",
    "accounts.view_customerlink", "accounts.view_user", "billing.view_activity", "billing.view_checkoutorder",
    "djstripe.view_customer", "djstripe.view_subscription", "djstripe.view_invoice", "djstripe.view_product",
    "djstripe.view_price", "ops.view_staffact", "ops.view_mail", "ops.view_question",
    "billing.view_provision",
)  # fmt: skip
VIEW_MACHINERY = (
    "billing.view_inboxevent", "billing.view_asidemessage", "billing.view_pollcursor", "billing.view_driftcheck",
    "billing.view_resyncrun", "billing.view_rawobject", "ops.view_finding", "django_celery_beat.view_periodictask",
    "ops.view_rule", "ops.view_match", "ops.view_delivery",
    "ops.view_statemachine", "ops.view_execution", "ops.view_approval", "ops.view_playbooktrial",
    "ops.view_connection", "ops.view_destination", "ops.view_destinationrequest",
)  # fmt: skip

GROUPS: Mapping[str, Sequence[str]] = {
    # answers customers: sees all about them, the events behind it, and what rules did with these
    "Support": (
        *VIEW_CUSTOMERS,
        *("billing.view_inboxevent", "ops.view_rule", "ops.view_match", "ops.view_delivery"),
        *("ops.view_statemachine", "ops.view_execution", "ops.view_approval", "ops.change_mail"),
    ),
    # answers for the money: sees all about customers, says yes or no to what workflows ask
    "Finance": (*VIEW_CUSTOMERS, "ops.view_approval", "ops.change_approval"),
    # keeps it running: sees all, replays events, sees to findings, writes rules and state machines, redrives calls and
    # executions, tests destinations. Where destinations lead and with which credentials is not theirs to change:
    # whoever may could send the credentials to themselves.
    "On-call": (
        *VIEW_CUSTOMERS,
        *VIEW_MACHINERY,
        "billing.change_inboxevent",
        "billing.delete_asidemessage",
        "ops.change_finding",
        "ops.change_mail",
        "billing.change_provision",
        "ops.change_rule",
        "ops.change_delivery",
        "ops.change_statemachine",
        "ops.change_execution",
        "ops.add_playbooktrial",
        "ops.change_approval",
        "ops.add_destinationrequest",
    ),
}


def write_groups() -> dict[str, int]:
    """Make the groups, or give those that exist what they lack; return each one's number of permissions.

    Permissions that were added by hand stay.
    """
    written = {}
    for name, wanted in GROUPS.items():
        group, _made = Group.objects.get_or_create(name=name)
        group.permissions.add(*permissions_named(wanted))
        written[name] = group.permissions.count()
    return written


def permissions_named(names: Sequence[str]) -> list[Permission]:
    """Return the permissions of "app.codename"s; `LookupError` names those that are not there."""
    pairs = [name.split(".") for name in names]
    wanted = Q()
    for app, codename in pairs:
        wanted |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.filter(wanted).select_related("content_type"))
    there = {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}
    if missing := sorted(set(names) - there):
        raise LookupError(f"Permissions are not there yet: {', '.join(missing)}. Run `manage.py migrate` first.")
    return found
