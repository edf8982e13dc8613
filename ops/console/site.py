"""The console: an admin site of our own, so that only what we register is in it (dj-stripe's admin is not)."""

from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    site_title = _("Kessai console")
    site_header = "Kessai"
    index_title = _("What flows and what is stuck")


console = ConsoleSite(name="admin")
