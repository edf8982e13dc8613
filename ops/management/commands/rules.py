"""`manage.py rules`: rules as files and as AWS stacks; what was given up, redriven; the past, replayed."""

import json
import sys
from argparse import ArgumentParser
from difflib import unified_diff
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from accounts.models import User
from billing.inbox.selection import Selection
from billing.inbox.since import moment_of
from ops.effects.destinations.bring import bring as bring_destinations
from ops.playbooks.apply import BadPlaybooks, bring_machines
from ops.rules import files
from ops.rules.cloudformation.bring import Unbringable, bring
from ops.rules.cloudformation.reading import destinations_of, documents_of
from ops.rules.cloudformation.written import Unreadable
from ops.rules.cloudformation.written import read_template as read_written
from ops.rules.documents import document_of
from ops.rules.edit import ChangedMeanwhile
from ops.rules.files import BadFiles, Entry
from ops.rules.merging import Stand
from ops.rules.models import Rule
from ops.rules.redrive import dead_letters, redrivable, redrive
from ops.rules.replay import events_of, new_id, replay_rule
from ops.workflows.aws.deploy import CannotDeploy
from ops.workflows.aws.stacking import stack_of

WORDS = {
    Stand.SAME: "as its file says",
    Stand.NEW: "new: applying makes it",
    Stand.CHANGED: "the file has changed: applying brings that here",
    Stand.EDITED: "edited here: export it, or apply with --force",
    Stand.BOTH: "changed in the file and edited here, in different parts: applying keeps both",
    Stand.CONFLICT: "changed in the file and here, in the same part",
    Stand.NO_FILE: "its file is gone: apply --prune removes it",
    Stand.CONSOLE: "made in the console: export makes its file",
}


class Command(BaseCommand):
    help = (
        "Rules as files (diff, apply, export, list) and as AWS stacks (to-cloudformation, from-cloudformation), "
        "their dead letters (redrive), and the past (replay)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.verb(verbs, "list", "every rule: state, version, file, how it stands to it")
        diff = self.verb(verbs, "diff", "what files and rules say differently; ends with 1 when they differ")
        diff.add_argument("names", nargs="*", metavar="NAME")
        apply = self.verb(verbs, "apply", "bring what files say here; again at once it does nothing")
        apply.add_argument("names", nargs="*", metavar="NAME", help="all rules when none is named")
        apply.add_argument("--force", action="store_true", help="overwrite parts that were edited here")
        apply.add_argument("--prune", action="store_true", help="remove rules whose file is gone")
        export = self.verb(verbs, "export", "write rules into their files")
        export.add_argument("names", nargs="*", metavar="NAME", help="all rules when none is named")
        again = self.verb(verbs, "redrive", "try calls again that were given up, under their old keys")
        again.add_argument("--rule", default="", metavar="NAME")
        again.add_argument("--target", default="", metavar="ID")
        again.add_argument("--call", type=int, action="append", default=[], metavar="N", help="may be repeated")
        again.add_argument("--since", metavar="WHEN", help="given up since: 2026-01-31, 36h, 7d")
        again.add_argument("--all", action="store_true", help="every call that was given up")
        past = self.verb(verbs, "replay", "let a rule fire on events of the past, once for each --id")
        past.add_argument("name", metavar="RULE")
        past.add_argument("events", nargs="*", metavar="evt_…", help="these events alone")
        past.add_argument("--since", metavar="WHEN", help="received since: 2026-01-31, 2026-01-31T12:00, 36h, 7d")
        past.add_argument("--until", metavar="WHEN", help="received before")
        past.add_argument("--id", default="", help="go on with a replay that was stopped")
        stack = self.verb(verbs, "to-cloudformation", "write rules as an AWS stack; what cannot move is said on stderr")
        stack.add_argument("names", nargs="*", metavar="NAME", help="all rules when none is named")
        stack.add_argument("--out", default="", metavar="FILE", help="where the template goes; default: stdout")
        template = self.verb(verbs, "from-cloudformation", "bring the rules of a template (JSON) here: all, or none")
        template.add_argument("file", metavar="FILE")
        template.add_argument("--force", action="store_true", help="overwrite rules that say another thing here")
        template.add_argument(
            "--parameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a parameter of the template, or AWS::Region, AWS::AccountId; may be repeated",
        )
        for each in (apply, export, again, past, template):
            each.add_argument("--dry-run", action="store_true", help="say what would be done; do nothing")
        for each in (apply, again, past, template):
            each.add_argument("--reason", default="", help="why; it is written down")
            each.add_argument("--by", default="", metavar="EMAIL", help="the operator who does this")

    def verb(self, verbs: Any, name: str, what: str) -> ArgumentParser:
        parser: ArgumentParser = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:])
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON and nothing else")
        return parser

    def handle(self, *_args: object, **options: Any) -> None:
        getattr(self, f"do_{options['verb'].replace('-', '_')}")(options)

    def say(self, options: dict[str, Any], told: Any, *lines: str) -> None:
        self.stdout.write(json.dumps(told, ensure_ascii=False) if options["json"] else "\n".join(lines))

    def do_list(self, options: dict[str, Any]) -> None:
        told, lines = [], []
        for entry in files.compare_all():
            rule = entry.rule
            state = rule.state if rule else "-"
            version = rule.version if rule else 0
            told.append(
                {
                    "name": entry.name,
                    "state": state,
                    "version": version,
                    "file": entry.path,
                    "stand": entry.stand.value,
                    "problems": [str(problem) for problem in entry.problems],
                }
            )
            lines.append(f"{entry.name:<32} {state:<6} {version:>3}  {said(entry)}")
        self.say(options, told, *(lines or ["There are no rules."]))

    def do_diff(self, options: dict[str, Any]) -> None:
        differing = [entry for entry in chosen(options["names"]) if entry.stand is not Stand.SAME]
        told, lines = [], []
        for entry in differing:
            text = "".join(difference(entry))
            told.append({"name": entry.name, "stand": entry.stand.value, "diff": text, **parts_of(entry)})
            lines += [f"{entry.name}: {said(entry)}", *edited_by(entry), text.rstrip()]
        self.say(options, told, *(lines or ["Files and rules say the same."]))
        if differing:
            raise SystemExit(1)

    def do_apply(self, options: dict[str, Any]) -> None:
        entries = chosen(options["names"])
        folders = {entry.path.partition("/")[0] for entry in entries}
        try:
            if not options["dry_run"] and not any(entry.problems for entry in entries):
                bring_machines(folders, reason=options["reason"], actor=actor_of(options), now=timezone.now())
            applied = files.apply(
                entries,
                force=options["force"],
                prune=options["prune"],
                reason=options["reason"],
                actor=actor_of(options),
                now=timezone.now(),
                dry_run=options["dry_run"],
            )
        except BadPlaybooks as error:
            raise CommandError("\n".join([*error.faults, NOTHING]))
        except BadFiles as error:
            raise CommandError("\n".join([*(line for entry in error.entries for line in refused(entry)), NOTHING]))
        told = [{"name": each.name, "did": each.did, "parts": each.parts} for each in applied]
        lines = [
            f"{each.name}: {each.did}" + (f" ({', '.join(each.parts)})" if each.parts and each.did != "made" else "")
            for each in applied
            if each.did != "kept"
        ]
        would = ["Nothing was changed (--dry-run)."] if options["dry_run"] else []
        self.say(options, told, *(lines or ["Everything is as the files say, or was edited here."]), *would)

    def do_export(self, options: dict[str, Any]) -> None:
        rules = [entry.rule for entry in chosen(options["names"]) if entry.rule]
        written = files.export(rules, dry_run=options["dry_run"])
        told = [{"file": path, "changed": changed} for path, changed in written]
        lines = [f"{path}: {'written' if changed else 'as it was'}" for path, changed in written]
        self.say(options, told, *(lines or ["There are no rules."]))

    def do_redrive(self, options: dict[str, Any]) -> None:
        given = any(options[name] for name in ("rule", "target", "call", "since", "all"))
        if not given:
            raise CommandError("Which calls? Give --rule, --target, --call or --since, or --all. Nothing was done.")
        calls = dead_letters(rule=options["rule"], target=options["target"], since=moment(options["since"]))
        if options["call"]:
            calls = calls.filter(pk__in=options["call"])
        count, left = redrivable(calls).count(), calls.filter(input="").count()
        if not options["dry_run"]:
            need_reason(options)
            count = redrive(calls, actor_of(options), reason=options["reason"], now=timezone.now())
        told = {"calls": count, "without_input": left, "dry_run": options["dry_run"]}
        did = "would be tried again; nothing was done" if options["dry_run"] else "due again"
        more = [f"{left} never had an input: mend the template, then replay the events."] if left else []
        self.say(options, told, f"{count} {did}.", *more)

    def do_replay(self, options: dict[str, Any]) -> None:
        rule = Rule.objects.prefetch_related("targets").filter(name=options["name"]).first()
        if rule is None:
            raise CommandError(f"There is no rule “{options['name']}”. Nothing was replayed.")
        if not options["events"] and not options["since"]:
            raise CommandError("Which events? Give their ids, or --since. Nothing was replayed.")
        if not options["dry_run"]:
            need_reason(options)
        selection = Selection(
            event_ids=tuple(options["events"]), since=moment(options["since"]), until=moment(options["until"])
        )
        replay_id = options["id"] or new_id(timezone.now())
        if len(replay_id) > LONGEST_ID:
            raise CommandError(f"A replay's id has at most {LONGEST_ID} characters. Nothing was replayed.")
        shown = not options["json"] and sys.stderr.isatty()
        columns = TextColumn("replay"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
            bar = progress.add_task("replay", total=events_of(selection).count())
            done = replay_rule(
                rule,
                selection,
                replay_id=replay_id,
                actor=actor_of(options),
                reason=options["reason"],
                clock=timezone.now,
                dry_run=options["dry_run"],
                seen=lambda count: progress.advance(bar, count),
            )
        told = {**vars(done), "examples": list(done.examples), "dry_run": options["dry_run"]}
        calls = f"{done.calls} calls would be due" if options["dry_run"] else f"{done.calls} calls are due"
        lines = [f"{done.events} events, {done.matches} fit, {calls}."]
        if done.archived:
            lines.append(f"{done.archived} are in the archive: manage.py restore_archive brings them back.")
        if not options["dry_run"]:
            lines.append(f"Stopped in between, it goes on with: --id {done.id}")
        self.say(options, told, *lines)

    def do_to_cloudformation(self, options: dict[str, Any]) -> None:
        rules = list(Rule.objects.prefetch_related("targets").order_by("name"))
        unknown = sorted(set(options["names"]) - {rule.name for rule in rules})
        if unknown:
            raise CommandError(f"There is no rule {', '.join(unknown)}. Nothing was written.")
        documents = [document_of(rule) for rule in rules if not options["names"] or rule.name in options["names"]]
        try:
            made = stack_of(documents)
        except CannotDeploy as error:
            raise CommandError("\n".join([*error.sentences, "Nothing was written."]))
        text = json.dumps(made.body, indent=2, ensure_ascii=False)
        if options["out"]:
            write(Path(options["out"]), f"{text}\n")
        told = {"rules": len(documents), "file": options["out"], "cannot_move": made.cannot_move, "to_do": made.to_do}
        whole = {} if options["out"] else {"template": made.body}
        shown = f"{options['out']}: written, {len(documents)} rules" if options["out"] else text
        self.say(options, {**told, "secrets": made.secrets, **whole}, shown)
        if not options["json"]:
            self.mention("What does not move, or differs there:", made.cannot_move)
            self.mention("To do:", made.to_do)

    def do_from_cloudformation(self, options: dict[str, Any]) -> None:
        values = dict(pair_of(text) for text in options["parameter"])
        template = read_template(options["file"])
        documents, flaws = documents_of(template, values)
        connections, destinations, more = destinations_of(template, values)
        flaws += more
        if not documents:
            raise CommandError("\n".join([*flaws, NOTHING]))
        try:
            with transaction.atomic():
                made, new = bring_destinations(connections, destinations)
                brought = bring(
                    documents,
                    force=options["force"],
                    reason=options["reason"] or f"From the CloudFormation template {Path(options['file']).name}.",
                    actor=actor_of(options),
                    now=timezone.now(),
                    dry_run=options["dry_run"],
                )
                transaction.set_rollback(options["dry_run"])
        except (Unbringable, ChangedMeanwhile) as error:
            raise CommandError("\n".join([*flaws, str(error) or str(error.__doc__), NOTHING]))
        except ValidationError as error:
            raise CommandError("\n".join([*flaws, *error.messages, NOTHING]))
        flaws += [f"The connection {name} needs its secret: set it in the console, under Connections." for name in made]
        lines = [f"{name}: connection made, without its secret" for name in made]
        lines += [f"{name}: destination made" for name in new]
        told = {"rules": [vars(each) for each in brought], "cannot_come": flaws, "dry_run": options["dry_run"]}
        told |= {"connections": made, "destinations": new}
        would = ["Nothing was changed (--dry-run)."] if options["dry_run"] else []
        self.say(options, told, *lines, *(f"{each.name}: {each.did}" for each in brought), *would)
        if not options["json"]:
            self.mention("What cannot come, or wants something:", flaws)

    def mention(self, title: str, sentences: list[str]) -> None:
        if sentences:
            self.stderr.write("\n".join([title, *(f"  {sentence}" for sentence in sentences)]))


NOTHING = "Nothing was applied."
LONGEST_ID = 36


def write(place: Path, text: str) -> None:
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{place} cannot be written: {error.strerror}. Nothing was written.")


def read_template(file: str) -> Any:
    try:
        return read_written(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}. {NOTHING}")
    except Unreadable as error:
        raise CommandError(f"{file} is neither JSON nor YAML: {error} {NOTHING}")


def pair_of(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--parameter {text} has no value: NAME=VALUE. {NOTHING}")
    return name, value


def chosen(names: list[str]) -> list[Entry]:
    entries = files.compare_all()
    unknown = sorted(set(names) - {entry.name for entry in entries})
    if unknown:
        raise CommandError(f"There is no rule {', '.join(unknown)}, neither here nor among the files.")
    return [entry for entry in entries if not names or entry.name in names]


def said(entry: Entry) -> str:
    return "its file is wrong: " + "; ".join(map(str, entry.problems)) if entry.problems else WORDS[entry.stand]


def difference(entry: Entry) -> list[str]:
    here = files.file_text(in_order_of(entry.said or {}, document_of(entry.rule))) if entry.rule else ""
    there = files.file_text(entry.said) if entry.said else ""
    return list(unified_diff(here.splitlines(True), there.splitlines(True), "here", entry.path or "no file"))


def in_order_of(said: Any, value: Any) -> Any:
    """The value with its keys in the order of what the file says: PostgreSQL's jsonb keeps none."""
    if isinstance(said, dict) and isinstance(value, dict):
        names = [*(name for name in said if name in value), *(name for name in value if name not in said)]
        return {name: in_order_of(said.get(name), value[name]) for name in names}
    if isinstance(said, list) and isinstance(value, list) and len(said) == len(value):
        return [in_order_of(*pair) for pair in zip(said, value, strict=True)]
    return value


def parts_of(entry: Entry) -> dict[str, Any]:
    if entry.compared is None:
        return {"problems": [str(problem) for problem in entry.problems]}
    compared = entry.compared
    return {"file": compared.from_file, "here": compared.edited_here, "conflicts": compared.conflicts}


def edited_by(entry: Entry) -> list[str]:
    """Who edited it here last, where that matters."""
    edit = entry.last_edit
    if edit is None or entry.stand not in (Stand.EDITED, Stand.BOTH, Stand.CONFLICT, Stand.CONSOLE):
        return []
    who = edit.changed_by or "somebody"
    return [f"  last edited here by {who}, {edit.changed_at:%Y-%m-%d %H:%M} UTC: {edit.reason or 'no reason given'}"]


def refused(entry: Entry) -> list[str]:
    if entry.problems:
        return [f"{entry.path}: {problem}" for problem in entry.problems]
    conflicts = ", ".join(entry.compared.conflicts) if entry.compared else ""
    return [f"{entry.name}: {conflicts} was changed in the file and here; --force takes the file's.", *edited_by(entry)]


def moment(text: str | None) -> Any:
    try:
        return moment_of(text, now=timezone.now()) if text else None
    except ValueError as error:
        raise CommandError(f"{error} Nothing was done.")


def actor_of(options: dict[str, Any]) -> User | None:
    if not options["by"]:
        return None
    actor = User.objects.filter(email__iexact=options["by"], is_staff=True).first()
    if actor is None:
        raise CommandError(f"No operator has the address {options['by']}. Nothing was done.")
    return actor


def need_reason(options: dict[str, Any]) -> None:
    if not options["reason"].strip():
        raise CommandError("Say why, with --reason: it is written down. Nothing was done.")
