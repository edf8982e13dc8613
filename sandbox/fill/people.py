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
CLOCKED_DAYS = 3
"""Since when the lives on test clocks are there; a clock is deleted after seven days."""
ON_CLOCKS = (20, 40, 60)
"""The numbers of the customers who live on test clocks of their own."""
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
JAPANESE_FAMILY = (
    ("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"), ("伊藤", "ito"),
    ("渡辺", "watanabe"),
    ("山本", "yamamoto"), ("中村", "nakamura"), ("小林", "kobayashi"), ("加藤", "kato"), ("吉田", "yoshida"),
    ("山田", "yamada"), ("佐々木", "sasaki"), ("松本", "matsumoto"), ("井上", "inoue"), ("木村", "kimura"),
)  # fmt: skip
JAPANESE_GIVEN = (
    ("葵", "aoi"), ("陽翔", "haruto"), ("結衣", "yui"), ("颯太", "sota"), ("陽菜", "hina"), ("蓮", "ren"),
    ("芽依", "mei"),
    ("陸", "riku"), ("さくら", "sakura"), ("海斗", "kaito"), ("美咲", "misaki"), ("大輔", "daisuke"), ("直樹", "naoki"),
    ("真由美", "mayumi"), ("健一", "kenichi"), ("恵子", "keiko"),
)  # fmt: skip
IN_JAPANESE, COMPANY = 0.3, 0.2
"""Shares of the customers."""
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

    @property
    def most_days(self) -> int:
        """By how many days a copy may be moved."""
        return 0 if self.telling.at_month_end or self.telling.clocked else MOST_DAYS


def plots(months: int, now: int, available: set[str]) -> list[Plot]:
    """The lives of which the copies are made; `available` names the stories that the sandbox can act out."""
    told = [telling for telling in TELLINGS if telling.story not in EXTRA or telling.story.__name__ in available]
    found: list[Plot] = []
    for telling in told:
        for number, age in enumerate(_ages(telling, months)):
            start = _start(telling, age, now)
            if start <= now:
                found.append(Plot(telling, MONTHLY[(number + len(found)) % len(MONTHLY)], age, start))
    return found


def _start(telling: Telling, age: int, now: int) -> int:
    """The first of a month, so that copies can begin on any day up to the 28th; or the last of one."""
    if telling.clocked:
        return now - CLOCKED_DAYS * DAY
    if telling.at_month_end:
        return months_later(_month_begin(now), 1 - age) - DAY + TIME_OF_DAY
    return months_later(_month_begin(now), -age) + TIME_OF_DAY


def _month_begin(now: int) -> int:
    """Midnight UTC of the first."""
    day = datetime.datetime.fromtimestamp(now, datetime.UTC).date().replace(day=1)
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _ages(telling: Telling, months: int) -> list[int]:
    if telling.clocked:
        return [0]
    if not months:
        possible = [age for age in AGES_OF_THE_PRESENT if age >= telling.least]
    else:
        possible = list(range(telling.least, months + 1))
    if telling.weight >= COMMON or len(possible) <= RARE_AGES:
        return possible
    return [possible[number * (len(possible) - 1) // (RARE_AGES - 1)] for number in range(RARE_AGES)]


def chooser(plots: Sequence[Plot]) -> Callable[[int, Random], int]:
    """A function that draws the number of the life that a customer (of this number) has."""
    lives = Counter(plot.telling for plot in plots)
    weights = list(accumulate(plot.telling.weight / lives[plot.telling] for plot in plots))
    numbers = range(len(plots))
    clocked = [number for number in numbers if plots[number].telling.clocked]

    def choose(customer: int, random: Random) -> int:
        drawn = random.choices(numbers, cum_weights=weights)[0]
        return clocked[0] if clocked and customer in ON_CLOCKS else drawn

    return choose


def person(number: int, plot: Plot, now: int, random: Random) -> Person:
    """The customer of this number, whose life is that of the plot, moved forward."""
    shift = random.randint(0, plot.most_days) * DAY + random.randrange(SPREAD)
    name, words = _name(random)
    mail = f"{words}.{number}".lower().translate(ASCII)
    return Person(name, mail, shift if shift <= now - plot.start else shift % (now - plot.start + 1))


def _name(random: Random) -> tuple[str, str]:
    """What somebody is called, and how that is written in an e-mail address."""
    kind = random.random()
    if kind < IN_JAPANESE:
        (family, family_words), (given, given_words) = random.choice(JAPANESE_FAMILY), random.choice(JAPANESE_GIVEN)
        return f"{family} {given}", f"{given_words}.{family_words}"
    family, given = random.choice(FAMILY), random.choice(GIVEN)
    company = kind < IN_JAPANESE + COMPANY
    return random.choice(COMPANIES).format(family) if company else f"{given} {family}", f"{given}.{family}"
