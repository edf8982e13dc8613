"""`manage.py playbooks`: folders of rules, workflows and letters, checked, compared and applied as a whole."""

import json
from argparse import ArgumentParser
from difflib import unified_diff
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ops.management.commands.rules import WORDS, actor_of, difference
from ops.playbooks.apply import BadPlaybooks, apply
from ops.playbooks.book import Playbook, read_playbooks
from ops.rules.merging import Stand as RuleStand
from ops.workflows.files import MachineFile, Stand
from ops.workflows.models import StateMachine

NOTHING = "Nothing was applied."
MACHINE_WORDS = {
    Stand.SAME: "as its file says",
    Stand.NEW: "new: applying makes it",
    Stand.CHANGED: "the file has changed: applying makes a new version; executions that run keep theirs",
    Stand.EDITED: "edited here: applying takes --force",
    None: "its file is wrong",
}


class Command(BaseCommand):
    help = "Playbooks: what each holds and how it stands (list), what differs (diff), bring it here (apply)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.verb(verbs, "list", "every playbook: its machines, rules and letters, and how they stand")
        self.verb(verbs, "check", "say everything that is wrong with the files; ends with 1 when something is")
        self.verb(verbs, "diff", "what files and this portal say differently; ends with 1 when they differ")
        bring = self.verb(verbs, "apply", "bring what files say here, machines before rules: all of it, or nothing")
        bring.add_argument("--force", action="store_true", help="take the file where something was edited here too")
        bring.add_argument("--on", action="store_true", help="switch the rules on as well")
        bring.add_argument("--dry-run", action="store_true", help="check everything and change nothing")
        bring.add_argument("--reason", default="", help="why; it is written down")
        bring.add_argument("--by", default="", metavar="EMAIL", help="the operator who does this")

    def verb(self, verbs: Any, name: str, what: str) -> ArgumentParser:
        parser: ArgumentParser = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:])
        parser.add_argument("names", nargs="*", metavar="PLAYBOOK", help="all when none is named")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON and nothing else")
        return parser

    def handle(self, *_args: object, **options: Any) -> None:
        getattr(self, f"do_{options['verb']}")(chosen(options["names"]), options)

    def say(self, options: dict[str, Any], told: Any, *lines: str) -> None:
        self.stdout.write(json.dumps(told, ensure_ascii=False) if options["json"] else "\n".join(lines))

    def do_list(self, books: list[Playbook], options: dict[str, Any]) -> None:
        lines = [line for book in books for line in lines_of(book)]
        self.say(options, [told_of(book) for book in books], *(lines or ["There are no playbooks."]))

    def do_check(self, books: list[Playbook], options: dict[str, Any]) -> None:
        faults = [fault for book in books for fault in book.faults]
        self.say(options, faults, *(faults or ["Nothing is wrong."]))
        if faults:
            raise SystemExit(1)

    def do_diff(self, books: list[Playbook], options: dict[str, Any]) -> None:
        told = {book.name: differences(book) for book in books if not book.applied}
        texts = [text for differing in told.values() for text in differing.values()]
        self.say(options, told, *(texts or ["Files and this portal say the same."]))
        if told:
            raise SystemExit(1)

    def do_apply(self, books: list[Playbook], options: dict[str, Any]) -> None:
        try:
            applied = apply(
                books,
                force=options["force"],
                switch_on=options["on"],
                reason=options["reason"],
                actor=actor_of(options),
                now=timezone.now(),
                dry_run=options["dry_run"],
            )
        except BadPlaybooks as error:
            raise CommandError("\n".join([*error.faults, NOTHING]))
        lines = [f"{each.playbook}: {each.kind} {each.name} {each.did}" for each in applied if each.did != "kept"]
        would = ["Nothing was changed (--dry-run)."] if options["dry_run"] else []
        told = [vars(each) for each in applied]
        self.say(options, told, *(lines or ["Everything is as the files say, or was edited here."]), *would)


def chosen(names: list[str]) -> list[Playbook]:
    books = read_playbooks()
    unknown = sorted(set(names) - {book.name for book in books})
    if unknown:
        known = ", ".join(book.name for book in books) or "none"
        raise CommandError(f"There is no playbook {', '.join(unknown)}. There are: {known}.")
    return [book for book in books if not names or book.name in names]


def told_of(book: Playbook) -> dict[str, Any]:
    return {
        "name": book.name,
        "machines": [{"name": file.name, "stand": stand.value if stand else "wrong"} for file, stand in book.machines],
        "rules": [{"name": entry.name, "stand": entry.stand.value} for entry in book.rules],
        "letters": list(book.letters),
        "faults": list(book.faults),
    }


def lines_of(book: Playbook) -> list[str]:
    lines = [book.name]
    lines += [f"  machine  {file.name:<32} {MACHINE_WORDS[stand]}" for file, stand in book.machines]
    lines += [
        f"  rule     {entry.name:<32} {'its file is wrong' if entry.problems else WORDS[entry.stand]}"
        for entry in book.rules
    ]
    return [*lines, *(f"  letter   {name}" for name in book.letters), *(f"  wrong    {each}" for each in book.faults)]


def differences(book: Playbook) -> dict[str, str]:
    """What differs, by the file's path."""
    told = {file.path: difference_of(file) for file, stand in book.machines if stand is not Stand.SAME}
    for entry in book.rules:
        if entry.stand is not RuleStand.SAME:
            told[entry.path] = "".join(difference(entry))
    return told


def difference_of(file: MachineFile) -> str:
    machine = StateMachine.objects.select_related("current").filter(name=file.name).first()
    here = machine.current.definition if machine and machine.current else ""
    return "".join(unified_diff(here.splitlines(True), file.text.splitlines(True), "here", file.path))
