"""Who can sign in to the demo."""

CUSTOMER = "demo@kessai.example"
OPERATOR = "operator@kessai.example"
# Shown on the terminal and worthless: the demo listens on this machine alone.
PASSWORD = "kessai-demo-2026"  # noqa: S105
