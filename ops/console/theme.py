"""How unfold looks and where it leads: the console's name, colours and navigation."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

# The portal's own indigo (static/kessai/app.css), stepped as unfold needs it.
INDIGO = {
    "50": "#eeeefb",
    "100": "#e0e1fb",
    "200": "#c9ccff",
    "300": "#aeb2ff",
    "400": "#8f90f3",
    "500": "#7370e8",
    "600": "#3a36a8",
    "700": "#2c2989",
    "800": "#25226f",
    "900": "#1f1c5c",
    "950": "#14123d",
}


def permitted(permission: str) -> Callable[[HttpRequest], bool]:
    """Return what asks whether the operator may see the pages behind a link of the navigation."""

    def ask(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return ask


def page(title: Any, icon: str, model: str, **more: Any) -> dict[str, Any]:
    """A link of the navigation to the list of `model` ("app.model"), for those who may view it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": permitted(f"{app}.view_{name}"),
        **more,
    }


def where(request: HttpRequest) -> str:
    """Say below the console's name in which zone its times are."""
    return gettext("Console · times in %(zone)s") % {"zone": localtime().tzname()}


# Words of unfold's own pages that its Japanese catalogue lacks: ours has them, since they stand here.
UNFOLDS = (_("Filters"), _("Select all rows"), _("Select record"), _("Select value"), _("Type to search"))

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Kessai console"),
    "SITE_HEADER": "Kessai",
    "SITE_SUBHEADER": where,
    "SITE_ICON": lambda request: static("kessai/mark.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("kessai/mark.svg")}],
    "SITE_URL": "/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {"primary": INDIGO},
    "STYLES": [
        lambda request: static("ops/console.css"),
        lambda request: static("ops/lists.css"),
        lambda request: static("ops/workflows.css"),
    ],
    "SCRIPTS": [lambda request: static("ops/console.js")],
    "COMMAND": {"search_callback": "ops.console.find.search", "show_history": False},
    "ACCOUNT": {
        "navigation": [
            {"title": _("Two-factor authentication"), "link": reverse_lazy("mfa_index")},
        ]
    },
    "SIDEBAR": {
        "show_search": False,
        "command_search": True,
        "navigation": [
            {
                "title": _("Flow"),
                "items": [
                    {"title": _("What flows"), "icon": "waves", "link": reverse_lazy("admin:index")},
                    page(_("Findings"), "flag", "ops.finding", badge="ops.console.findings.open_findings_badge"),
                    page(
                        _("Inbox events"), "inbox", "billing.inboxevent", badge="ops.console.flow.failed_events_badge"
                    ),
                    page(_("Messages aside"), "move_to_inbox", "billing.asidemessage"),
                    page(_("Activities"), "notifications", "billing.activity"),
                ],
            },
            {
                "title": _("Rules"),
                "separator": True,
                "items": [
                    page(_("Rules"), "rule", "ops.rule"),
                    page(_("Matches"), "join_inner", "ops.match"),
                    page(_("Calls"), "outbox", "ops.delivery", badge="ops.console.calls.dead_letters_badge"),
                    page(_("API destinations"), "call_made", "ops.destination"),
                    page(_("Connections"), "key", "ops.connection"),
                    page(_("Requests"), "swap_vert", "ops.destinationrequest"),
                ],
            },
            {
                "title": _("Workflows"),
                "separator": True,
                "items": [
                    page(_("State machines"), "account_tree", "ops.statemachine"),
                    page(_("Executions"), "play_circle", "ops.execution"),
                    page(_("Backtests"), "history_toggle_off", "ops.playbooktrial"),
                    page(_("Questions to customers"), "contact_support", "ops.question"),
                    page(_("Servers"), "dns", "billing.provision"),
                    page(_("Mails"), "forward_to_inbox", "ops.mail"),
                    page(
                        _("Approvals"),
                        "approval_delegation",
                        "ops.approval",
                        badge="ops.console.workflows.approvals.open_approvals_badge",
                    ),
                ],
            },
            {
                "title": _("Mirror"),
                "separator": True,
                "items": [
                    page(_("Drift"), "difference", "billing.driftcheck"),
                    page(_("Resyncs"), "sync", "billing.resyncrun"),
                    {
                        "title": _("Kinds of objects"),
                        "icon": "stacks",
                        "link": reverse_lazy("admin:kinds"),
                        "permission": permitted("billing.view_rawobject"),
                    },
                    page(_("Events API"), "history", "billing.pollcursor"),
                ],
            },
            {
                "title": _("Subscriptions"),
                "separator": True,
                "items": [
                    page(_("Subscriptions"), "autorenew", "djstripe.subscription"),
                    page(_("Invoices"), "receipt_long", "djstripe.invoice"),
                    page(_("Checkout orders"), "shopping_cart_checkout", "billing.checkoutorder"),
                    page(_("Products"), "category", "djstripe.product"),
                    page(_("Prices"), "sell", "djstripe.price"),
                ],
            },
            {
                "title": _("Organizations"),
                "separator": True,
                "items": [
                    page(_("Organizations"), "apartment", "accounts.organization"),
                    page(_("Customers"), "person_search", "djstripe.customer"),
                    page(_("Customer links"), "link", "accounts.customerlink"),
                    page(_("Memberships"), "badge", "accounts.membership"),
                    page(_("Invitations"), "mail", "accounts.invitation"),
                ],
            },
            {
                "title": _("Settings"),
                "separator": True,
                "items": [
                    page(_("Users"), "person", "accounts.user"),
                    page(_("Groups"), "group", "auth.group"),
                    page(_("Schedules"), "schedule", "django_celery_beat.periodictask"),
                    page(_("Staff acts"), "history_edu", "ops.staffact"),
                ],
            },
        ],
    },
}
