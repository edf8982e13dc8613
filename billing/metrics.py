"""What the portal counts, for Prometheus. One name each, in the words of the pipeline.

Counters and histograms are kept by the process that does the work. Where PROMETHEUS_MULTIPROC_DIR names a directory,
all processes of a machine write there and each `/metrics` tells the sum; without it a process tells its own numbers.
What stands in rows (how much is due, failed, aside; drift) is read from the database when it is asked for
(`billing.measures`), so it is right whichever process answers, and after any restart.
"""

from prometheus_client import Counter, Gauge, Histogram

# Seconds. From "the same commit" to "somebody went to lunch": what matters lies between.
LAG_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600)
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STORE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)

# --- doors ----------------------------------------------------------------------------------------

received = Counter("kessai_received", "Events stored for the first time.", ["door"])
duplicates = Counter("kessai_duplicates", "Events that had been stored before.", ["door"])
refused = Counter("kessai_refused", "Requests and messages that are no events of ours.", ["door", "reason"])
aside = Counter("kessai_aside", "Queue messages kept aside because nobody could read them.", ["queue"])
polled_missed = Counter("kessai_polled_missed", "Events that only the events API brought: other doors missed them.")
store_seconds = Histogram("kessai_store_seconds", "Time to store a batch and commit it.", buckets=STORE_SECONDS)

# --- mirror ---------------------------------------------------------------------------------------

# how: payload (written from the event), fetched (Stripe was asked), covered (a newer state was there already)
mirrored = Counter("kessai_mirrored", "Events that the mirror has taken in.", ["kind", "how"])
mirror_failed = Counter("kessai_mirror_failed", "Attempts to mirror an object that ended in an error.", ["kind"])
retries = Counter("kessai_retries", "Events put off to be tried again.")
mirror_lag = Histogram("kessai_mirror_lag_seconds", "From happening at Stripe to standing here.", buckets=LAG_SECONDS)

# --- asking Stripe --------------------------------------------------------------------------------

fetch_seconds = Histogram("kessai_fetch_seconds", "Time of one call to Stripe.", buckets=CALL_SECONDS)
fetch_errors = Counter("kessai_fetch_errors", "Calls to Stripe that failed.", ["code"])
budget_wait_seconds = Histogram("kessai_budget_wait_seconds", "Wait for the rate limit's turn.", buckets=CALL_SECONDS)
budget_used = Gauge(
    "kessai_budget_used_ratio", "Share of the rate limit in use, 0 to 1.", multiprocess_mode="mostrecent"
)

# --- truth ----------------------------------------------------------------------------------------

drift = Gauge(
    "kessai_drift", "Objects that differed from Stripe when last compared.", ["kind"], multiprocess_mode="mostrecent"
)
