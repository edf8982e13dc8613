"""State machines and executions in the console."""
