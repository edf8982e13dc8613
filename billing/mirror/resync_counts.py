"""What a resync did, counted so that it is true whenever it was killed.

What is written is noted in the transaction that writes it; what was only compared is counted when its page's place is
kept. A page that is listed again, because nobody kept its place, finds its objects noted: they are not counted twice.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection, transaction

from billing.mirror.asking import How
from billing.mirror.history import PartState, ResyncNote, ResyncPart, ResyncRun
from billing.mirror.kinds import Ref
from billing.mirror.resync_pages import Settled
from billing.mirror.words import Story
from billing.mirror.write import Change

WRITTEN = frozenset({Change.CREATED, Change.UPDATED, Change.DELETED})
NOTE = "INSERT INTO billing_resyncnote (run_id, owner, changes) VALUES (%s, %s, %s)"
# The first change of an object is what became of it: one that was created and then met again was created.
SUMS = """
    SELECT owner, kind, change, count(*) FROM (
        SELECT DISTINCT ON (owner, kinds.key, objects.key) owner, kinds.key AS kind, objects.value AS change
        FROM billing_resyncnote AS note, jsonb_each(changes) AS kinds, jsonb_each_text(kinds.value) AS objects
        WHERE run_id = %s ORDER BY owner, kinds.key, objects.key, note.id
    ) AS first GROUP BY owner, kind, change ORDER BY owner, kind, change
"""


Sum = tuple[str, str, str, int]  # the account's name, the kind, the change, the number of objects


@dataclass
class Outcome:
    """What became of one kind of one account."""

    counts: Counter[str] = field(default_factory=Counter)
    unavailable: str = ""
    spared: int = 0  # parents who were not asked about


class Noted:
    """The objects that a run has written, and that no page whose place is kept has shown yet."""

    def __init__(self, run: ResyncRun, kinds: Sequence[str]) -> None:
        self._run_id, self._kinds = run.pk, frozenset(kinds)
        self._objects = {
            (owner, Ref(kind, object_id))
            for owner, changes in ResyncNote.objects.filter(run=run).values_list("owner", "changes")
            for kind, ids in changes.items()
            for object_id in ids
        }

    def by(self, owner: str) -> How:
        """What is called in the transactions that write for an account: it notes what they write."""

        def note(_told: Sequence[Story], changes: Mapping[Ref, Change]) -> None:
            written: defaultdict[str, dict[str, str]] = defaultdict(dict)
            for ref, change in changes.items():
                if change in WRITTEN and ref.kind in self._kinds:
                    written[ref.kind][ref.id] = change.value
            if written:
                with connection.cursor() as cursor:
                    cursor.execute(NOTE, [self._run_id, owner, json.dumps(written)])
                # Before the commit: another page finds them unchanged as soon as that is through.
                self._objects |= {(owner, Ref(kind, object_id)) for kind, ids in written.items() for object_id in ids}

        return note

    def count(self, part: ResyncPart, settled: Settled) -> None:
        """Count what a page's objects came to in its part, but for those that are noted."""
        for ref, change in settled.changes.items():
            key = part.owner, ref
            noted = key in self._objects
            self._objects.discard(key)
            if not noted or change is Change.REFUSED:
                part.counts[change.value] = part.counts.get(change.value, 0) + 1


def sum_up(run: ResyncRun) -> None:
    """Keep the sums of a run that is done, and let go of its notes."""
    with transaction.atomic():
        ResyncRun.objects.filter(pk=run.pk).update(written=[*run_written(run), *sums(run)])
        ResyncNote.objects.filter(run=run).delete()


def run_written(run: ResyncRun) -> list[Sum]:
    return [tuple(kept) for kept in ResyncRun.objects.values_list("written", flat=True).get(pk=run.pk)]


def sums(run: ResyncRun) -> list[Sum]:
    with connection.cursor() as cursor:
        cursor.execute(SUMS, [run.pk])
        return list(cursor.fetchall())


def outcomes(run: ResyncRun) -> dict[tuple[str, str], Outcome]:
    """(account's name, kind) → what became of it, so far."""
    found: defaultdict[tuple[str, str], Outcome] = defaultdict(Outcome)
    parts = run.parts.order_by("stage", "pk").values_list("owner", "kind", "counts", "state", "note", "params__spared")
    for owner, kind, counts, state, note, spared in parts:
        outcome = found[owner, kind]
        outcome.counts.update(counts)
        outcome.spared += spared or 0
        if state == PartState.UNAVAILABLE:
            outcome.unavailable = note
    for account, name, change, number in [*run_written(run), *sums(run)]:
        found[account, name].counts[change] += number
    return dict(found)
