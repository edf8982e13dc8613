"""Backtests of playbooks that operators start: a row asks, a worker tries, the page shows what came of it."""
