"""The thread past · now · next: one, for the customer's pages, the console and mails alike. Pure but for language."""

from billing.thread.build import Moment, Now, Thread, build_thread
from billing.thread.situation import ActivityFacts, OrderFacts, Situation

__all__ = ["ActivityFacts", "Moment", "Now", "OrderFacts", "Situation", "Thread", "build_thread"]
