"""The Stripe that the portal's tests meet: the sandbox, over HTTP."""
