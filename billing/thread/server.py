"""The server that a subscription pays for, in the thread: what is so of it, what comes, and what happened."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.activity import verbs
from billing.mirror.facts import SubscriptionFacts, SubscriptionStatus
from billing.money import format_money
from billing.provisioning.facts import ProvisionFacts
from billing.provisioning.states import State
from billing.thread.shapes import ATTENTION, GOOD, STOPPED, WAITING, Moment, Now
from billing.thread.situation import Situation
from billing.thread.words import day_words, join_sentences, moment_words, reason_words

SERVING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)
TONES = {
    State.BUILDING: WAITING,
    State.READY: GOOD,
    State.STOPPED: STOPPED,
    State.FAILED: STOPPED,
    State.ENDING: STOPPED,
    State.DELETED: STOPPED,
}


def with_server(now: Now, sub: SubscriptionFacts, situation: Situation) -> Now:
    """Say what is so of the subscription together with its server, where it has one."""
    server = situation.provision
    if server is None:
        return now
    if server.state is State.FAILED:
        return say_failed(server, situation)
    if sub.status in SERVING:
        return of_serving(now, server, situation)
    if server.state is State.STOPPED and sub.living:
        return say_stopped(situation)
    return of_ended(now, server, situation)


def say_failed(server: ProvisionFacts, situation: Situation) -> Now:
    title = _("We could not build your server.")
    tried = ngettext("We tried it once.", "We tried it %(count)d times.", server.attempt) % {"count": server.attempt}
    if server.refunded is None:
        goes_back = _("Your plan is being cancelled, and what you paid goes back to you.")
        return Now(title, join_sentences((tried, goes_back), situation.language), STOPPED, _("Cancelled"))
    again = _("You can choose a plan again at any time.")
    if not server.refunded:
        said = (tried, _("Your plan is cancelled; nothing was charged."), again)
        return Now(title, join_sentences(said, situation.language), STOPPED, _("Cancelled"))
    money = format_money(server.refunded, server.currency, situation.language)
    back = _("Your plan is cancelled, and %(money)s is on its way back to you; banks take up to ten days.")
    said = (tried, back % {"money": money}, again)
    return Now(title, join_sentences(said, situation.language), STOPPED, _("Refunded"))


def of_serving(now: Now, server: ProvisionFacts, situation: Situation) -> Now:
    if server.state is State.BUILDING:
        return Now(_("Your server is being built."), reason_of_building(server, situation), WAITING, _("Building"))
    if server.state is State.ENDING and server.delete_at and server.delete_at > situation.now:
        return replace(
            now, reason=join_sentences((reason_of_letting_go(server, situation), now.reason), situation.language)
        )
    if server.state is State.STOPPED and server.held:
        return replace(
            now, title=_("Your server is stopped."), reason=reason_of_held(), tone=ATTENTION, word=_("Stopped")
        )
    if server.state is State.STOPPED:
        reason = _("Your payment arrived. This takes about a minute, and this page updates by itself.")
        return Now(_("Your server is starting again."), reason, WAITING, _("Starting"))
    if server.state is State.READY and now.tone == GOOD:
        where = _("Its address is %(address)s.") % {"address": server.address} if server.address else ""
        reason = join_sentences((where, now.reason), situation.language)
        return replace(now, title=_("Your server is ready."), reason=reason, word=_("Ready"))
    return now


def reason_of_held() -> str:
    return _("We stopped it; nothing on it is lost. Write to us if you need it, or if you do not know why.")


def reason_of_letting_go(server: ProvisionFacts, situation: Situation) -> str:
    """Say what becomes of the server of a plan that had one."""
    day = say_day(server.delete_at, situation) if server.delete_at else ""
    kept = _("Your plan has no server any more: the one you had is stopped and kept until %(day)s, then deleted.")
    back = _("Change back before that day, and it starts again with everything on it.")
    return join_sentences((kept % {"day": day}, back), situation.language)


def reason_of_building(server: ProvisionFacts, situation: Situation) -> str:
    usual = _("This usually takes a few minutes, and this page updates by itself.")
    if server.attempt == 1:
        return usual
    again = _("The attempt before did not succeed; this is attempt %(number)d.") % {"number": server.attempt}
    safe = _("If it cannot be built, you get your money back.")
    return join_sentences((again, safe), situation.language)


def say_stopped(situation: Situation) -> Now:
    invoice = situation.troubled
    owed = _("A payment is missing.")
    if invoice:
        money = format_money(invoice.amount_remaining, invoice.currency, situation.language)
        owed = _("Your payment of %(money)s did not go through.") % {"money": money}
    starts = _("Nothing on it is lost: it starts again by itself as soon as the invoice is paid.")
    reason = join_sentences((owed, reason_words(situation.failure), starts), situation.language)
    return Now(_("Your server is stopped."), reason, ATTENTION, _("Stopped"))


def of_ended(now: Now, server: ProvisionFacts, situation: Situation) -> Now:
    owed = _("One or more of its invoices are still to be paid.") if situation.owed else ""
    if server.state is State.ENDING and server.delete_at and server.delete_at > situation.now:
        kept = _("Your server is stopped and kept until %(day)s; then it is deleted with everything on it.")
        write = _("Write to us before that day if you need something from it.")
        said = (kept % {"day": say_day(server.delete_at, situation)}, write, owed)
        return replace(now, reason=join_sentences(said, situation.language))
    if server.state is State.DELETED:
        gone = _("Your server was deleted on %(day)s, with everything on it.")
        again = _("You can choose a plan again at any time.")
        deleted = (gone % {"day": say_day(server.since, situation)}, owed or again)
        return replace(now, reason=join_sentences(deleted, situation.language))
    return now


def coming_of_server(situation: Situation) -> Iterator[Moment]:
    server = situation.provision
    if server is None:
        return
    if server.state is State.READY and server.stop_at:
        stops = _("Your server is stopped unless the invoice is paid by then.")
        yield Moment(server.stop_at, stops, _("Nothing on it is lost."), ATTENTION)
    if server.state is State.ENDING and server.delete_at:
        yield Moment(server.delete_at, _("Your server is deleted, with everything on it."), tone=STOPPED)


Telling = tuple[str, str, str]


def tell_building(data: Mapping[str, Any], situation: Situation) -> Telling:
    if (data.get("attempt") or 1) > 1:
        return _("Your server could not be built; we try again."), "", WAITING
    return _("We began to build your server."), "", WAITING


def tell_ready(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Your server became ready."), "", GOOD


def tell_to_be_stopped(data: Mapping[str, Any], situation: Situation) -> Telling:
    at = datetime.fromtimestamp(data.get("stop_at") or 0, UTC)
    until = moment_words(at, now=situation.now, language=situation.language)
    return _("A payment is missing."), _("Your server goes on until %(moment)s.") % {"moment": until}, ATTENTION


def tell_stopped(data: Mapping[str, Any], situation: Situation) -> Telling:
    missing = "" if data.get("held") else _("A payment is missing.")
    return _("Your server was stopped."), missing, ATTENTION


def tell_started(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Your server started again."), "", GOOD


def tell_failed(data: Mapping[str, Any], situation: Situation) -> Telling:
    if data.get("refunded"):
        money = format_money(data["refunded"], data.get("currency") or "usd", situation.language)
        return _("We sent %(money)s back to you.") % {"money": money}, "", GOOD
    return _("Your server could not be built."), "", STOPPED


def tell_ending(data: Mapping[str, Any], situation: Situation) -> Telling:
    at = data.get("delete_at")
    if not at or at <= situation.now.timestamp():
        return _("Your server was stopped."), "", STOPPED
    day = say_day(datetime.fromtimestamp(at, UTC), situation)
    return _("Your server was stopped."), _("It is kept until %(day)s.") % {"day": day}, STOPPED


def tell_taken_back(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Your server is kept after all."), "", GOOD


def tell_deleted(data: Mapping[str, Any], situation: Situation) -> Telling:
    return _("Your server was deleted."), "", STOPPED


TELLERS = {
    verbs.PROVISION_BUILDING: tell_building,
    verbs.PROVISION_READY: tell_ready,
    verbs.PROVISION_TO_BE_STOPPED: tell_to_be_stopped,
    verbs.PROVISION_STOPPED: tell_stopped,
    verbs.PROVISION_STARTED: tell_started,
    verbs.PROVISION_FAILED: tell_failed,
    verbs.PROVISION_ENDING: tell_ending,
    verbs.PROVISION_TAKEN_BACK: tell_taken_back,
    verbs.PROVISION_DELETED: tell_deleted,
}


def say_day(at: datetime, situation: Situation) -> str:
    return day_words(at, now=situation.now, language=situation.language)
