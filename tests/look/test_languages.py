"""The portal speaks Japanese wherever it speaks: nothing is left out, nothing that is filled in gets lost."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from django.conf import settings

from config.translations import compile_translations

ROOT = Path(settings.BASE_DIR)
JAPANESE = ROOT / "locale" / "ja" / "LC_MESSAGES" / "django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)[\d.]*[a-z]|\{\w*\}|</?\w+")


def read_catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, ignore_obsolete=True)


def singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def sentences(message: Message) -> list[str]:
    """Return a translation's forms: one, or as many as the language has plurals."""
    return [message.string] if isinstance(message.string, str) else list(message.string or [""])


@pytest.fixture(scope="module")
def japanese() -> Catalog:
    return read_catalogue(JAPANESE)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every string that the portal's code and templates mark, extracted anew from a copy of them."""
    if not shutil.which("xgettext"):
        pytest.skip("GNU gettext is not installed, so strings cannot be extracted; `apt-get install gettext`.")
    place = tmp_path_factory.mktemp("source")
    for room in ("accounts", "billing", "config", "ops", "templates"):
        shutil.copytree(ROOT / room, place / room, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "locale").mkdir()
    command = [sys.executable, "-m", "django", "makemessages", "--locale=ja", "--no-location", "-v0"]
    outside = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=place, env=outside, check=True, capture_output=True, text=True)
    return read_catalogue(place / "locale" / "ja" / "LC_MESSAGES" / "django.po")


def test_every_string_has_a_japanese_translation(japanese: Catalog, extracted: Catalog) -> None:
    missing = []
    for message in extracted:
        if not message.id:
            continue
        translated = japanese.get(singular(message), message.context)
        if translated is None or not all(sentences(translated)):
            missing.append(singular(message))
    assert not missing, "Run makemessages and translate: " + "; ".join(missing)


def test_no_translation_is_a_guess(japanese: Catalog) -> None:
    assert not [singular(message) for message in japanese if message.id and message.fuzzy]


def test_what_is_filled_in_is_the_same_in_both_languages(japanese: Catalog) -> None:
    wrong = []
    for message in japanese:
        if not message.id:
            continue
        sources = [message.id] if isinstance(message.id, str) else message.id
        kept = [sorted(PLACEHOLDER.findall(source)) for source in sources]
        wrong += [target for target in sentences(message) if sorted(PLACEHOLDER.findall(target)) not in kept]
    assert not wrong


def test_a_compiled_catalogue_says_what_the_source_says(tmp_path: Path) -> None:
    source = tmp_path / "ja" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    shutil.copy(JAPANESE, source)
    (compiled,) = compile_translations(tmp_path)
    with compiled.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    assert catalogue.gettext("Sign in") == "ログイン"
    assert catalogue.pgettext("subscription status", "Past due") == "支払い遅延"


def test_a_catalogue_that_did_not_change_is_not_compiled_again(tmp_path: Path) -> None:
    source = tmp_path / "django.po"
    shutil.copy(JAPANESE, source)
    assert compile_translations(tmp_path) == [source.with_suffix(".mo")]
    assert compile_translations(tmp_path) == []
