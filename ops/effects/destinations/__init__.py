"""API destinations: any HTTP API as the target of a rule, with credentials, a rate, a breaker and a log."""
