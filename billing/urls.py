"""Pages and doors of billing."""

from django.urls import path

from billing.inbox.webhook import stripe_webhook
from billing.views.begin import begin, confirm
from billing.views.checkout import ask, checkout_return
from billing.views.health import healthz, metrics, readyz
from billing.views.invoices import invoice, invoices
from billing.views.leaving import cancel, payment_method, resume
from billing.views.live import live
from billing.views.overview import overview
from billing.views.plans import landing, plans, subscribe

app_name = "billing"
urlpatterns = [
    path("", landing, name="landing"),
    path("begin/", begin, name="begin"),
    path("o/<str:organization_id>/", overview, name="overview"),
    path("o/<str:organization_id>/plans/", plans, name="plans"),
    path("o/<str:organization_id>/begin/", confirm, name="confirm"),
    path("o/<str:organization_id>/subscribe/", subscribe, name="subscribe"),
    path("o/<str:organization_id>/checkout/return/", checkout_return, name="checkout_return"),
    path("o/<str:organization_id>/checkout/ask/", ask, name="checkout_ask"),
    path("o/<str:organization_id>/invoices/", invoices, name="invoices"),
    path("o/<str:organization_id>/invoices/<str:invoice_id>/", invoice, name="invoice"),
    path("o/<str:organization_id>/payment-method/", payment_method, name="payment_method"),
    path("o/<str:organization_id>/cancel/", cancel, name="cancel"),
    path("o/<str:organization_id>/resume/", resume, name="resume"),
    path("o/<str:organization_id>/live/", live, name="live"),
    path("webhooks/stripe/", stripe_webhook, name="stripe_webhook"),
    # An address typed without its last slash must not cost events: Stripe takes a redirect for a failure.
    path("webhooks/stripe", stripe_webhook),
    # An account of its own: its secrets alone hold there.
    path("webhooks/stripe/<slug:account>/", stripe_webhook, name="stripe_account_webhook"),
    path("webhooks/stripe/<slug:account>", stripe_webhook),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]
