"""Who the copies are: which life each has, how far it is moved, and what they are called. Pure, by a seed."""

import datetime
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from sandbox.billing.periods import DAY, months_later
from sandbox.fill.stamps import Person
from sandbox.fill.stories import EXTRA, MONTHLY, TELLINGS, Telling

TIME_OF_DAY = 600
"""Seconds after midnight UTC at which lives begin and act."""
MOST_DAYS = 27
"""A life begins on the first; moved by more it would leave what every month has."""
SPREAD = 20 * 3600
"""Seconds over which the copies of a day are spread; with it no act moves into the next day."""
AGES_OF_THE_PRESENT = (1, 2, 3, 5)
"""Months, for a company whose history is not kept."""
COMMON = 100
"""From this weight on a story is lived at every age."""
RARE_AGES = 3
GIVEN = (
    "Aoi", "Haruto", "Yui", "Sota", "Hina", "Ren", "Mei", "Riku", "Sakura", "Kaito", "Emma", "Liam", "Olivia", "Noah",
    "Ava", "Lucas", "Mia", "Leon", "Lina", "Paul", "Chloé", "Hugo", "Jade", "Louis", "Sofia", "Marco", "Nora", "Omar",
)  # fmt: skip
FAMILY = (
    "Sato", "Suzuki", "Takahashi", "Tanaka", "Ito", "Watanabe", "Yamamoto", "Nakamura", "Kobayashi", "Kato", "Smith",
    "Jones", "Brown", "Taylor", "Wilson", "Müller", "Schmidt", "Weber", "Martin", "Bernard", "Dubois", "Rossi",
    "Ferrari", "García", "López", "Hansen", "Nielsen", "Haddad",
)  # fmt: skip
COMPANIES = (
    "株式会社{0}商事", "{0}電機株式会社", "合同会社{0}ラボ", "{0} Works Inc.", "{0} & Partners", "Studio {0}",
    "{0} GmbH",
)  # fmt: skip
ASCII = str.maketrans("éüíóñ", "euion")


@dataclass(frozen=True)
class Plot:
    """A life to be lived: what happens, on which plan, since when."""

    telling: Telling
    plan: str
    age: int
    start: int


def plots(months: int, now: int, available: set[str]) -> list[Plot]:
    """The lives of which the copies are made; `available` names the stories that the sandbox can act out."""
    told = [telling for telling in TELLINGS if telling.story not in EXTRA or telling.story.__name__ in available]
    found: list[Plot] = []
    for telling in told:
        for number, age in enumerate(_ages(telling, months)):
            start = months_later(_month_begin(now), -age) + TIME_OF_DAY
            if start <= now:
                found.append(Plot(telling, MONTHLY[(number + len(found)) % len(MONTHLY)], age, start))
    return found


def _month_begin(now: int) -> int:
    """Midnight UTC of the first."""
    day = datetime.datetime.fromtimestamp(now, datetime.UTC).date().replace(day=1)
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _ages(telling: Telling, months: int) -> list[int]:
    if not months:
        possible = [age for age in AGES_OF_THE_PRESENT if age >= telling.least]
    else:
        possible = list(range(telling.least, months + 1))
    if telling.weight >= COMMON or len(possible) <= RARE_AGES:
        return possible
    return [possible[number * (len(possible) - 1) // (RARE_AGES - 1)] for number in range(RARE_AGES)]


def chooser(plots: Sequence[Plot]) -> Callable[[Random], int]:
    """A function that draws the number of the life that the next customer has."""
    lives = Counter(plot.telling for plot in plots)
    weights = list(accumulate(plot.telling.weight / lives[plot.telling] for plot in plots))
    numbers = range(len(plots))
    return lambda random: random.choices(numbers, cum_weights=weights)[0]


def person(number: int, start: int, now: int, random: Random) -> Person:
    """The customer of this number, whose life began at `start` and is moved forward."""
    shift = random.randint(0, MOST_DAYS) * DAY + random.randrange(SPREAD)
    family, given = random.choice(FAMILY), random.choice(GIVEN)
    name = random.choice(COMPANIES).format(family) if random.random() < 0.2 else f"{given} {family}"
    mail = f"{given}.{family}.{number}".lower().translate(ASCII)
    return Person(name, mail, shift if shift <= now - start else shift % (now - start + 1))
