"""Save the rules of a template: all of them, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import User
from ops.rules.documents import Document, document_of
from ops.rules.edit import normal, save_rule
from ops.rules.models import Rule
from ops.rules.validate import problems_of


@dataclass(frozen=True)
class Brought:
    """What became of one rule: made, changed, kept (it said the same before)."""

    name: str
    did: str


class Unbringable(Exception):
    """Nothing was saved. `sentences` say everything that stands against it."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def bring(
    documents: Sequence[Document], *, force: bool, reason: str, actor: User | None, now: datetime, dry_run: bool = False
) -> list[Brought]:
    """Save these rules in one transaction; return what became of each. Again at once it does nothing.

    Raises Unbringable where one has flaws, two have one name, or, without `force`, a rule here says another thing;
    ChangedMeanwhile where somebody changes one of them just now.
    """
    against = [f"{shown(document)}: {problem}" for document in documents for problem in problems_of(document)]
    if against:
        raise Unbringable(against)
    here = {rule.name: rule for rule in Rule.objects.prefetch_related("targets")}
    brought = [one(document, here.get(document["Name"])) for document in documents]
    names = [each.name for each in brought]
    against = [f"{name}: two rules have this name." for name in sorted(set(names)) if names.count(name) > 1]
    if not force:
        against += [
            f"{each.name}: the rule here says another thing; --force takes the template's."
            for each in brought
            if each.did == "changed"
        ]
    if against:
        raise Unbringable(against)
    if not dry_run:
        with transaction.atomic():
            for document in documents:
                rule = here.get(document["Name"])
                seen = rule.version if rule else None
                save_rule(document, rule=rule, actor=actor, reason=reason, now=now, seen_version=seen)
    return brought


def one(document: Document, rule: Rule | None) -> Brought:
    if rule is None:
        return Brought(document["Name"], "made")
    return Brought(document["Name"], "kept" if document_of(rule) == normal(document) else "changed")


def shown(document: Document) -> str:
    return str(document.get("Name"))[:64]
