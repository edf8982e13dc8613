"""A stateful Stripe over HTTP for one machine. See README.md."""

API_VERSION = "2026-08-26.dahlia"
