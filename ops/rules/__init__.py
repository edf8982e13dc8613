"""Rules: when an event fits a pattern, targets are called."""
