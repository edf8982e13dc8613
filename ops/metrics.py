"""What operations count, for Prometheus; see `billing.metrics`."""

from prometheus_client import Counter, Histogram

from billing.metrics import CALL_SECONDS, LAG_SECONDS

dispatched = Counter("kessai_rules_dispatched", "Events that were matched with the rules.")
matched = Counter("kessai_rules_matched", "Matches of rules.", ["rule", "trial"])
dispatch_lag = Histogram("kessai_rules_lag_seconds", "From an event's arrival to its matching.", buckets=LAG_SECONDS)

# outcome: done, retry, waiting (for a turn: no attempt), dead
delivered = Counter("kessai_rules_calls", "Calls of rules' targets.", ["kind", "outcome"])
call_seconds = Histogram("kessai_rules_call_seconds", "Time of one call of a target.", ["kind"], buckets=CALL_SECONDS)

workflow_steps = Counter("kessai_workflow_steps", "Steps of executions.")
waits_met = Counter("kessai_workflow_waits_met", "Waits for an event that an event met.")
