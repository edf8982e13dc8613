"""The console: an admin site of our own, so that only what we register is in it (dj-stripe's admin is not)."""

from collections.abc import Callable
from typing import Any

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    site_title = _("Kessai console")
    site_header = "Kessai"
    index_title = _("What flows and what is stuck")
    index_template = "ops/flow.html"

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., HttpResponseBase]:
        """Guard a view as the admin does, and let its page alone have what unfold's Alpine.js needs."""
        guarded = super().admin_view(view, cacheable)
        return csp_replace(settings.CONSOLE_CONTENT_SECURITY_POLICY)(guarded)

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Evaluate each badge once, and leave out those that have nothing to say."""
        groups: list[dict[str, Any]] = super().get_sidebar_list(request)
        for item in (item for group in groups for item in group["items"] if "badge_callback" in item):
            item["badge"] = item["badge_callback"] = str(item["badge_callback"]) if item["has_permission"] else ""
        return groups

    def extra_urls(self) -> list[URLPattern]:
        from ops.console.find import open_by_id
        from ops.console.truth import kinds

        return [
            path("find/<str:object_id>/", self.admin_view(open_by_id), name="find"),
            path("kinds/", self.admin_view(kinds), name="kinds"),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from ops.console.flow import read_flow

        page: HttpResponse = super().index(request, {"flow": read_flow(timezone.now()), **(extra_context or {})})
        return page

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Operators change their password where everybody does: allauth asks for the second factor and sends mail."""
        return redirect("account_change_password")


console = ConsoleSite(name="admin")
