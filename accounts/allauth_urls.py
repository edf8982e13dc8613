"""allauth's pages, with those in front that are ours in part."""

from django.urls import include, path, re_path

from accounts.new_password import ResetPassword, ResetPasswordFromKey

# Found before allauth's own, under the same names and at the same addresses.
urlpatterns = [
    path("password/reset/", ResetPassword.as_view(), name="account_reset_password"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[^/]+)/$",
        ResetPasswordFromKey.as_view(),
        name="account_reset_password_from_key",
    ),
    path("", include("allauth.urls")),
]
