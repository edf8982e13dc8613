"""When this happens, do that: EventBridge's pattern language over events, and the rules written in it."""
