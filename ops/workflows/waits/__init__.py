"""Waiting for a state: a pattern that an execution waits for is a row, and the event itself wakes it."""
