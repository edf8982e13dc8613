"""Every address of the portal. dj-stripe's own webhook view is deliberately not among them."""

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.urls import include, path

from config.language import choose_language
from config.style import show_style
from ops.console.site import console

# Operators sign in through the same pages as everybody, second factor included.
console.login = secure_admin_login(console.login)  # type: ignore[method-assign]

urlpatterns = [
    path("admin/", console.urls),
    path("accounts/", include("accounts.allauth_urls")),
    path("language/", choose_language, name="set_language"),
    path("style/", show_style, name="style"),
    path("", include("accounts.urls")),
    path("", include("billing.urls")),
    path("", include("ops.urls")),
]
if settings.DEMO:
    urlpatterns.append(path("mail/", include("config.demo.mail.urls")))
