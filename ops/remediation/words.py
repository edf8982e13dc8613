"""What each kind of finding says: what happened, what it means, what to do. Full sentences, translated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ops.remediation.models import Finding, FindingKind


@dataclass(frozen=True)
class Words:
    title: str
    meaning: str
    step: str


def words_of(finding: Finding) -> Words:
    """Say a finding. A kind that this code does not know any more says its name alone."""
    say = SAYINGS.get(finding.kind)
    return say(Evidence(finding.evidence)) if say else Words(finding.kind, "", "")


class Evidence(dict[str, Any]):
    """Evidence with the few forms in which it is read."""

    def number(self, name: str) -> int:
        return int(self.get(name) or 0)

    def moment(self, name: str) -> str:
        at = datetime.fromisoformat(self[name]) if self.get(name) else None
        return date_format(localtime(at), "DATETIME_FORMAT") if at else "–"

    @property
    def account(self) -> str:
        return self.get("account") or _("the primary account")


def events_failed(seen: Evidence) -> Words:
    n = seen.number("events")
    title = ngettext(
        "%(n)d event about “%(kind)s” could not be mirrored", "%(n)d events about “%(kind)s” could not be mirrored", n
    ) % {"n": n, "kind": seen.get("kind") or "–"}
    return Words(
        title,
        _(
            "They were tried eight times and failed for the same cause. Their objects show an older state than Stripe "
            "has: customers may see a payment as open that is paid."
        ),
        _("Read the error below, mend its cause, then replay them. Replaying does nothing twice."),
    )


def mirror_late(seen: Evidence) -> Words:
    n = seen.number("waiting")
    title = ngettext(
        "%(n)d event waits for the mirror for too long", "%(n)d events wait for the mirror for too long", n
    )
    if seen.number("overdue"):
        step = _("Nobody looks at what is due: start a worker, or look into its log. Nothing is lost.")
    else:
        step = _(
            "They are tried and put off: read the last error below. Most often Stripe is away or the key is revoked."
        )
    since = seen.moment("received_since")
    meaning = _("The oldest came on %(since)s. Pages show what was so before.") % {"since": since}
    return Words(title % {"n": n}, meaning, step)


def drift(seen: Evidence) -> Words:
    n, left = seen.number("differing"), seen.number("left")
    title = ngettext(
        "%(n)d object of kind “%(kind)s” differed from Stripe",
        "%(n)d objects of kind “%(kind)s” differed from Stripe",
        n,
    ) % {"n": n, "kind": seen.get("kind") or "–"}
    if left:
        meaning = ngettext(
            "%(n)d of them could not be healed and still shows something else than Stripe has.",
            "%(n)d of them could not be healed and still show something else than Stripe has.",
            left,
        ) % {"n": left}
        return Words(title, meaning, _("Look at the differences, then run `manage.py resync` for this kind."))
    return Words(
        title,
        _("They were healed by asking Stripe. That they differed means that an event was lost or came wrong."),
        _("Look at the differences and at which door should have brought them. The next check closes this."),
    )


def poll_old(seen: Evidence) -> Words:
    return Words(
        _("The events API of %(account)s was not read since %(since)s")
        % {"account": seen.account, "since": seen.moment("read_until")},
        _("Stripe keeps events for 30 days. What the other doors missed before that is lost to the inbox then."),
        _("See why it stands still (error below), then run `manage.py poll_events`; a resync finds what was lost."),
    )


def poll_failing(seen: Evidence) -> Words:
    return Words(
        _("Stripe's events API does not answer for %(account)s") % {"account": seen.account},
        _("Webhooks still come. What they miss is not found until it answers again; nothing is lost for 30 days."),
        _("Read the error below. A revoked or restricted key is the most frequent cause: it needs to read events."),
    )


def messages_aside(seen: Evidence) -> Words:
    n = seen.number("messages")
    title = ngettext("%(n)d queue message stands aside", "%(n)d queue messages stand aside", n) % {"n": n}
    return Words(
        title,
        _("They came out of the queue and are no events that the inbox understands. Each is kept with the reason."),
        _("Read them. If they are not meant for this queue, mend the rule that sends them, then delete them here."),
    )


def archive_behind(seen: Evidence) -> Words:
    n = seen.number("hours")
    title = ngettext("The archive is %(n)d hour behind", "The archive is %(n)d hours behind", n) % {"n": n}
    return Words(
        title,
        _("Nothing is lost: payloads stay here until the archive has them, and the database grows meanwhile."),
        _("Run `manage.py archive_inbox`: it says what is wrong, or takes everything that is due at once."),
    )


def beat_silent(seen: Evidence) -> Words:
    return Words(
        _("Beat is silent since %(since)s") % {"since": seen.moment("last_run")},
        _("Events still arrive and are mirrored, but what a lost message left lies until it runs again."),
        _("Start it: `celery -A config beat`. One is enough."),
    )


def told_by_rule(seen: Evidence) -> Words:
    return Words(
        str(seen.get("title") or "–"),
        _("The rule “%(rule)s” found it. %(note)s") % {"rule": seen.get("rule", "–"), "note": seen.get("note", "")},
        _("See to it, then close this here with a word on what was done; a rule may close it too."),
    )


def dead_letters(seen: Evidence) -> Words:
    n = seen.number("calls")
    title = ngettext(
        "%(n)d call of “%(target)s” by the rule “%(rule)s” was given up",
        "%(n)d calls of “%(target)s” by the rule “%(rule)s” were given up",
        n,
    )
    return Words(
        title % {"n": n, "target": seen.get("target", "–"), "rule": seen.get("rule", "–")},
        _("What the rule should have done for these events was not done. Nothing is lost: each call stands here."),
        _("Read the error below, mend its cause, then redrive the calls: they are made again under their old keys."),
    )


def rules_late(seen: Evidence) -> Words:
    events, calls = seen.number("events"), seen.number("calls")
    return Words(
        _("Rules are late: %(events)d events wait for them, %(calls)d calls for their turn")
        % {"events": events, "calls": calls},
        _("The oldest has waited since %(since)s. What rules should do is not being done yet; nothing is lost.")
        % {"since": seen.moment("since")},
        _("Nobody looks at what is due, or there is more than the workers can do: start a worker, or another one."),
    )


def rule_loop(seen: Evidence) -> Words:
    return Words(
        _("Rules call each other in a circle over “%(type)s”") % {"type": seen.get("type", "–")},
        _(
            "An event of the portal's own had %(longest)d rules before it. It was kept and matched with no rule, so "
            "that the circle ends."
        )
        % {"longest": seen.number("longest")},
        _("Find the rules whose targets make this event, and let their patterns leave it out."),
    )


def execution_loop(seen: Evidence) -> Words:
    n = seen.number("executions")
    stopped = ngettext("%(n)d execution was stopped", "%(n)d executions were stopped", n) % {"n": n}
    return Words(
        _("The workflow “%(name)s” goes round without an end") % {"name": seen.get("machine") or "–"},
        _("%(stopped)s after %(longest)d events of history, as on AWS. What it should have ended in was not done.")
        % {"stopped": stopped, "longest": seen.number("longest")},
        _("Give its loop a way out (a counter, a Wait, a time-out), save the new version, and start them anew."),
    )


def destination_away(seen: Evidence) -> Words:
    n = seen.number("failures")
    failed = ngettext("It failed %(n)d time in a row", "It failed %(n)d times in a row", n) % {"n": n}
    return Words(
        _("The destination “%(name)s” does not answer") % {"name": seen.get("destination") or "–"},
        _("%(failed)s and is left alone since %(since)s. Calls to it wait; those that grow too old are dead letters.")
        % {"failed": failed, "since": seen.moment("since")},
        _("Read the last error and its log. It is tried again by itself; a test from its page tries it when due."),
    )


def mails_refused(seen: Evidence) -> Words:
    n, name = seen.number("mails"), seen.get("name") or "–"
    if not seen.get("to"):
        title = ngettext("%(n)d mail to “%(name)s” has no address", "%(n)d mails to “%(name)s” have no address", n) % {
            "n": n,
            "name": name,
        }
        return Words(
            title,
            _("The organization has neither an owner nor a billing address. It was told nothing since %(since)s.")
            % {"since": seen.moment("since")},
            _("Give it an owner or a billing address, then send the mails again; or put them aside."),
        )
    title = ngettext("%(n)d mail to %(to)s was refused for good", "%(n)d mails to %(to)s were refused for good", n)
    return Words(
        title % {"n": n, "to": seen["to"]},
        _("“%(name)s” was told nothing by this address since %(since)s. The workflows have gone on without it.")
        % {"name": name, "since": seen.moment("since")},
        _("Read the error below and mend the address. Then send the mails again; or put them aside."),
    )


def mails_waiting(seen: Evidence) -> Words:
    n = seen.number("mails")
    title = ngettext("%(n)d mail cannot be sent", "%(n)d mails cannot be sent", n) % {"n": n}
    return Words(
        title,
        _("The mail server does not take them; the oldest waits since %(since)s. Nothing is lost: each is kept whole.")
        % {"since": seen.moment("since")},
        _(
            "Read the error below and mend the mail server or its settings. Their workflows try them again for about a "
            "day; after that send them again from their pages, or put aside what is out of date."
        ),
    )


SAYINGS: Mapping[str, Callable[[Evidence], Words]] = {
    FindingKind.EVENTS_FAILED: events_failed,
    FindingKind.MIRROR_LATE: mirror_late,
    FindingKind.DRIFT: drift,
    FindingKind.POLL_OLD: poll_old,
    FindingKind.POLL_FAILING: poll_failing,
    FindingKind.MESSAGES_ASIDE: messages_aside,
    FindingKind.ARCHIVE_BEHIND: archive_behind,
    FindingKind.BEAT_SILENT: beat_silent,
    FindingKind.RULE: told_by_rule,
    FindingKind.DEAD_LETTERS: dead_letters,
    FindingKind.RULES_LATE: rules_late,
    FindingKind.RULE_LOOP: rule_loop,
    FindingKind.EXECUTION_LOOP: execution_loop,
    FindingKind.DESTINATION_AWAY: destination_away,
    FindingKind.MAILS_REFUSED: mails_refused,
    FindingKind.MAILS_WAITING: mails_waiting,
}
