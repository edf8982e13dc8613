"""Makes published.json anew: `python -m tests.sandbox.published_types PACKAGE > tests/sandbox/published.json`, where
PACKAGE is the unpacked npm package `stripe` of the version that published.py names.

Its types say in one line what the schema says: `name: T | null` is always there, `name?: T` is never null. Only kinds
that the sandbox can answer with are kept.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.discovery import discover
from sandbox.kinds import KINDS

BESIDE_KINDS = (
    "account", "balance", "bank_account", "billing.meter_event", "billing.meter_event_adjustment",
    "billing.meter_event_summary", "cash_balance", "funding_instructions", "plan", "source", "subscription_item",
    "v2.billing.meter_event", "v2.billing.meter_event_adjustment", "v2.billing.meter_event_session",
)  # fmt: skip
"""What is answered without being stored by itself."""
WAYS = {"card", "custom", "customer_balance", "konbini", "sepa_debit", "us_bank_account"}
"""The ways to pay that the sandbox has: what others say of themselves is left out."""
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
OPENS = re.compile(r"^(?:export )?(?:declare )?(interface|namespace) (\w+)(?: extends [\w., ]+)? \{$")
MEMBER = re.compile(r"^'?([\w.]+)'?(\??): (.+);$")
MAP = re.compile(r"\{\s*\[key: string\]: [^;]+;\s*\}")
"""Values by keys that are free: their type is not gone into."""
TYPES = re.compile(r"^    type Type = (.+);$", re.MULTILINE)
OBJECT = re.compile(r"^'([a-z0-9_.]+)'$")
DEEPEST = 8


@dataclass
class Space:
    """A namespace: what it declares by name. An interface and a namespace of one name are one."""

    members: list[tuple[str, bool, str]] = field(default_factory=list)
    inner: dict[str, "Space"] = field(default_factory=dict)
    outer: "Space | None" = None

    def named(self, name: str) -> "Space":
        return self.inner.setdefault(name, Space(outer=self))

    def find(self, path: list[str]) -> "Space | None":
        if path[0] in self.inner:
            found = self.inner[path[0]]
            return found.find(path[1:]) if path[1:] else found
        return self.outer.find(path) if self.outer else None


def read(text: str, shared: Space | None = None) -> Space:
    """A file of declarations. Members that are written over several lines are passed over, but for maps."""
    file = space = Space(outer=shared)
    passed = 0
    for line in (line.strip() for line in MAP.sub("Map", COMMENT.sub("", text)).splitlines()):
        opened = OPENS.match(line)
        if opened and not passed:
            space = space.named(opened[2])
        elif line.endswith("{"):
            passed += 1
        elif line.startswith("}"):
            if passed:
                passed -= 1
            else:
                space = (space.outer if space is not file else None) or file
        elif not passed and (member := MEMBER.match(line)):
            space.members.append((member[1], member[2] == "?", member[3]))
    return file


def rules(space: Space, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(rule, dotted path) of a kind's interface and of what lies inside."""
    for name, optional, said in space.members:
        options = [option.strip() for option in said.split(" | ")]
        nullable = "null" in options
        where = f"{path}{name}"
        if nullable and not optional:
            yield "required", where
        elif optional and not nullable and name != "deleted":
            yield "never_null", where
        for option in options:
            inside = _own(space, option)
            if inside is not None and depth < DEEPEST:
                yield from rules(inside, f"{where}.", depth + 1)


def _own(space: Space, said: str) -> Space | None:
    """The interface that is meant, if it is declared inside of the kind: other kinds are looked at by themselves."""
    name = re.sub(r"^Array<(.+)>$", r"\1", said)
    if not re.fullmatch(r"[\w.]+", name):
        return None
    found = space.find(name.split("."))
    return None if found is None or _kind(found) else found


def table(package: Path) -> dict[str, dict[str, str]]:
    discover()
    wanted = {*KINDS, *BESIDE_KINDS}
    shared = read((package / "cjs" / "shared.d.ts").read_text())
    others = _ways(package) - WAYS
    made: dict[str, dict[str, str]] = {}
    for path in sorted((package / "cjs" / "resources").rglob("*.d.ts")):
        for space in read(path.read_text(), shared).inner.values():
            kind = _kind(space)
            if kind in wanted and kind not in made:
                found = sorted((rule, where) for rule, where in set(rules(space)) if not others & set(where.split(".")))
                made[kind] = {
                    rule: " ".join(where for one, where in found if one == rule) for rule in ("required", "never_null")
                }
    return dict(sorted(made.items()))


def _ways(package: Path) -> set[str]:
    """Every way to pay that there is."""
    told = TYPES.search((package / "cjs" / "resources" / "PaymentMethods.d.ts").read_text())
    if told is None:
        raise ValueError("PaymentMethod.Type is not declared as it was")
    return set(re.findall(r"'(\w+)'", told[1]))


def _kind(space: Space) -> str:
    for name, _, said in space.members:
        if name == "object" and (word := OBJECT.match(said)):
            return word[1]
    return ""


def main(argv: list[str]) -> None:
    made = table(Path(argv[0]))
    lines = ",\n".join(f"{json.dumps(kind)}:{json.dumps(found, separators=(',', ':'))}" for kind, found in made.items())
    sys.stdout.write(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
