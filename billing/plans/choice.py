"""A plan that was chosen before anybody knew for whom: named by its key, its interval and its currency, not by a price.

So a link to it stays good when a price is replaced by its next version, and what it shows is what holds now.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from billing.plans.catalog import Catalog, Plan, PlanPrice
from billing.plans.prices import choose_currency, choose_interval, price_words


@dataclass(frozen=True)
class Choice:
    """A plan with the price at which it was chosen, in the viewer's words."""

    plan: Plan
    price: PlanPrice
    words: str  # "¥5,000 per month"


def find_choice(catalog: Catalog, asked: Mapping[str, str], *, language: str, fixed: str = "") -> Choice | None:
    """Return the plan that is asked for, None when it is not on offer.

    An interval or a currency in which it has no price gives way to one in which it has; `fixed` is the currency of a
    customer who has paid before.
    """
    plan = next((plan for plan in catalog.plans if plan.key == asked.get("plan")), None)
    if plan is None:
        return None
    its_own = Catalog((plan,))
    currency = choose_currency(its_own, fixed=fixed, asked=asked.get("currency", ""), language=language)
    price = plan.price_for(currency, choose_interval(its_own, currency, asked=asked.get("interval", "")))
    if price is None:
        return None
    words = price_words(price.unit_amount, price.currency, price.interval, price.interval_count, language)
    return Choice(plan, price, words)
