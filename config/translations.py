"""Compile the translations without GNU gettext: `python -m config.translations` writes each `.mo` beside its `.po`."""

import os
import sys
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from config.env import BASE_DIR


def compile_translations(directory: Path = BASE_DIR / "locale") -> list[Path]:
    """Compile every catalogue under `directory` that is newer than its compiled twin; return what was written.

    Entries marked fuzzy are guesses of the extractor and are left out, as GNU msgfmt does.
    """
    stale = [source for source in sorted(directory.rglob("*.po")) if is_stale(source)]
    return [compile_one(source) for source in stale]


def is_stale(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime


def compile_one(source: Path) -> Path:
    """Write the `.mo` in one step, so that a server that starts meanwhile reads the old one or the new one.

    Processes that compile at the same time write files of their own: half a file never gets the name.
    """
    with source.open("rb") as file:
        catalogue = read_po(file)
    compiled = source.with_suffix(".mo")
    partial = compiled.with_name(f".{compiled.stem}-{os.getpid()}.mo")
    with partial.open("wb") as file:
        write_mo(file, catalogue)
    partial.replace(compiled)
    return compiled


if __name__ == "__main__":
    for written in compile_translations():
        sys.stdout.write(f"{written.relative_to(BASE_DIR)}\n")
