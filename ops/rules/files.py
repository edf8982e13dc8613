"""Rules as files: read out of the playbooks, compared with what is here, applied, exported.

A rule's file is `<playbook>/rules/<name>.json` (or `<playbook>/rule.json`) below the setting PLAYBOOKS_DIRECTORY.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from accounts.models import User
from ops.rules.documents import Document, document_of
from ops.rules.edit import File, delete_rule, normal, remember_file, save_rule
from ops.rules.merging import Compared, Stand, compare
from ops.rules.models import Rule, RuleVersion
from ops.rules.validate import Problem, problems_of
from ops.workflows.files import machine_names

CONSOLE = "console"  # the playbook into whose folder rules go that were made in the console


@dataclass(frozen=True)
class RuleFile:
    """One file: its path relative to the playbooks, what it says, and what is wrong with it."""

    path: str
    document: Document
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        name = self.document.get("Name")
        return name if isinstance(name, str) else self.path


@dataclass(frozen=True)
class Entry:
    """One rule with its file: how they stand, and what is wrong with the file."""

    name: str
    path: str
    stand: Stand
    compared: Compared | None = None
    problems: tuple[Problem, ...] = ()
    rule: Rule | None = None
    last_edit: RuleVersion | None = None  # the last change that no file made
    said: Document | None = None  # what the file says


class BadFiles(Exception):
    """Some files cannot be applied; nothing was. `entries` are those."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__("Some files cannot be applied.")
        self.entries = entries


def directory() -> Path:
    return Path(settings.PLAYBOOKS_DIRECTORY)


def read_files() -> list[RuleFile]:
    """Read every rule's file, each by itself: one that cannot be read says so, and spoils no other."""
    place = directory()
    paths = sorted({*place.glob("*/rule.json"), *place.glob("*/rules/*.json")})
    machines = machine_names()
    files = [read_file(path, str(path.relative_to(place)), machines) for path in paths]
    seen: dict[str, str] = {}
    for number, file in enumerate(files):
        if file.name in seen:
            problem = Problem("Name", f"Another file has this name: {seen[file.name]}.")
            files[number] = RuleFile(file.path, file.document, (*file.problems, problem))
        seen.setdefault(file.name, file.path)
    return files


def read_file(path: Path, shown: str, machines: Collection[str] = ()) -> RuleFile:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return RuleFile(shown, {}, (Problem("", f"The file cannot be read: {error}."),))
    problems = tuple(problems_of(document, machines=machines))
    if not problems:
        document = normal(document)
    return RuleFile(shown, document if isinstance(document, dict) else {}, problems)


def compare_all() -> list[Entry]:
    """Return every rule, of files and here, by name, with how it stands."""
    rules = {rule.name: rule for rule in Rule.objects.prefetch_related("targets")}
    files = read_files()
    entries = [entry_of(file, rules.get(file.name)) for file in files]
    named = {file.name for file in files}
    entries += [lonely(rule) for name, rule in rules.items() if name not in named]
    return sorted(entries, key=lambda entry: entry.name)


def entry_of(file: RuleFile, rule: Rule | None) -> Entry:
    if file.problems:
        return Entry(file.name, file.path, Stand.CONFLICT, None, file.problems, rule)
    here = document_of(rule) if rule else None
    compared = compare(rule.applied if rule else None, here, file.document)
    return Entry(file.name, file.path, compared.stand, compared, (), rule, last_edit_of(rule), file.document)


def last_edit_of(rule: Rule | None) -> RuleVersion | None:
    if rule is None:
        return None
    edits = rule.versions.filter(from_file=False).select_related("changed_by")
    return edits.order_by("-number").first()


def lonely(rule: Rule) -> Entry:
    stand = Stand.NO_FILE if rule.path else Stand.CONSOLE
    return Entry(rule.name, rule.path, stand, None, (), rule, last_edit_of(rule))


@dataclass(frozen=True)
class Applied:
    """What applying did with one rule: made, changed, kept (edited here, or nothing new), removed."""

    name: str
    did: str
    parts: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()


def apply(
    entries: list[Entry],
    *,
    force: bool,
    prune: bool,
    reason: str,
    actor: User | None,
    now: datetime,
    dry_run: bool = False,
) -> list[Applied]:
    """Bring what files say here; return what each rule came to. Again at once it does nothing.

    Raises BadFiles, and changes nothing, when a file has flaws, or, without `force`, when a part was changed both in
    the file and here. `prune` removes rules whose file is gone.
    """
    bad = [entry for entry in entries if entry.problems or (entry.stand is Stand.CONFLICT and not force)]
    if bad:
        raise BadFiles(bad)
    return [apply_one(entry, prune=prune, reason=reason, actor=actor, now=now, dry_run=dry_run) for entry in entries]


def apply_one(entry: Entry, *, prune: bool, reason: str, actor: User | None, now: datetime, dry_run: bool) -> Applied:
    if entry.compared is None or entry.said is None:
        if entry.stand is Stand.NO_FILE and prune and entry.rule:
            if not dry_run:
                delete_rule(entry.rule, actor=actor, reason=reason or f"The file {entry.path} is gone.", now=now)
            return Applied(entry.name, "removed")
        return Applied(entry.name, "kept")
    compared, said = entry.compared, entry.said
    document = compared.merged | {key: said[key] for key in compared.conflicts if key in said}
    document = {key: value for key, value in document.items() if key in said or key not in compared.conflicts}
    brings = (*compared.from_file, *compared.conflicts)
    if not dry_run:
        why = reason or f"Applied from {entry.path}."
        file = File(entry.path, said)
        save_rule(document, rule=entry.rule, actor=actor, reason=why, now=now, file=file)
    did = "made" if entry.rule is None else "changed" if brings else "kept"
    return Applied(entry.name, did, brings, compared.conflicts)


def export(rules: Iterator[Rule] | list[Rule], *, dry_run: bool = False) -> list[tuple[str, bool]]:
    """Write rules into their files, those without one below `console/`; return each path and whether it changed."""
    written = []
    for rule in rules:
        path = rule.path or f"{CONSOLE}/rules/{rule.name}.json"
        document, place = document_of(rule), directory() / path
        # A file that says the same in another layout is left as its author likes it.
        changed = not place.exists() or read_file(place, path).document != document
        if changed and not dry_run:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file_text(document), encoding="utf-8")
        if not dry_run:
            remember_file(rule, File(path, document_of(rule)))
        written.append((path, changed))
    return written


def file_text(document: Document) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
