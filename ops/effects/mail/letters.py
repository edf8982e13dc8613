"""Letters: the mails of a playbook as files, `<playbook>/emails/<name>.<language>.txt`, in Django's template language.

    Subject: Your payment of {{ invoice.owed }} did not go through

    Hello {{ name }},

    {{ invoice.reason }} …

    {% button invoice.pay_url %}Pay {{ invoice.owed }}{% endbutton %}

A first line with the subject, an empty line, paragraphs. HTML and text are made of the same words. A value that does
not exist is an error, not a gap in a sentence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template import Context, Engine, Template, TemplateSyntaxError
from django.template.loader import render_to_string

from ops.effects.mail.marks import CLOSES, OPENS, PARTS, PRIVATE

ENGLISH = "en"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*")
SUBJECT = "Subject: "
LACKING = "\ue003"
ENGINE = Engine(
    builtins=["django.templatetags.i18n", "ops.effects.mail.marks"],
    string_if_invalid=f"{LACKING}%s{LACKING}",
    autoescape=False,  # text is made first; HTML escapes it as a whole
)
LONGEST_SUBJECT = 255


class BadLetter(ValueError):
    """A letter cannot be written. The text says why."""


@dataclass(frozen=True)
class Block:
    """A paragraph, or a button with its address."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Letter:
    """A letter as it is sent."""

    subject: str
    text: str
    html: str


def languages_of(name: str) -> dict[str, Path]:
    """Return the files of a letter, `playbook/name`, by language."""
    if not NAME.fullmatch(name):
        return {}
    playbook, _, short = name.partition("/")
    place = Path(settings.PLAYBOOKS_DIRECTORY) / playbook / "emails"
    files = {path.name.removeprefix(f"{short}.").removesuffix(".txt"): path for path in place.glob(f"{short}.*.txt")}
    return {language: path for language, path in files.items() if "." not in language}


def read_letter(name: str, language: str) -> str:
    """Return the source in this language, else in English. Raises BadLetter when there is none."""
    files = languages_of(name)
    path = files.get(language) or files.get(ENGLISH)
    if path is None:
        raise BadLetter(f"There is no letter {name}: {name.replace('/', '/emails/')}.{ENGLISH}.txt")
    return path.read_text(encoding="utf-8")


def write(source: str, values: Mapping[str, Any], *, site_url: str) -> Letter:
    """Write a letter in the active language and zone. Raises BadLetter."""
    subject_source, body_source = parts_of(source)
    subject = " ".join(filled(subject_source, values).split())[:LONGEST_SUBJECT]
    blocks = blocks_of(filled(body_source, values))
    given = {"blocks": blocks, "subject": subject, "site_url": site_url}
    text = render_to_string("emails/letter.txt", given)
    return Letter(subject, text.strip() + "\n", render_to_string("emails/letter.html", given))


def parts_of(source: str) -> tuple[str, str]:
    first, _, body = source.lstrip("\ufeff").partition("\n")
    if not first.startswith(SUBJECT) or not first.removeprefix(SUBJECT).strip():
        raise BadLetter(f"The first line must be “{SUBJECT}…”.")
    if not body.strip():
        raise BadLetter("After the subject and an empty line comes the letter; there is nothing.")
    return first.removeprefix(SUBJECT), body


def filled(source: str, values: Mapping[str, Any]) -> str:
    try:
        text = Template(source, engine=ENGINE).render(Context(clean(values), autoescape=False))
    except TemplateSyntaxError as error:
        raise BadLetter(f"{error}.") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise BadLetter(f"A value does not fit: {error}.") from error
    lacking = sorted(set(re.findall(f"{LACKING}(.*?){LACKING}", text)))
    if lacking:
        raise BadLetter(f"There is no value {', '.join(lacking)}. Known are: {', '.join(sorted(values))}.")
    return text


def clean(value: Any) -> Any:
    """Take out of values the characters by which a letter marks its own buttons: no value makes a link."""
    if isinstance(value, str):
        return value.translate(PRIVATE)
    if type(value) is dict:
        return {key: clean(each) for key, each in value.items()}
    if isinstance(value, list):
        return [clean(each) for each in value]
    return value


def blocks_of(text: str) -> list[Block]:
    blocks = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith(OPENS) and paragraph.endswith(CLOSES):
            url, _, label = paragraph[1:-1].partition(PARTS)
            blocks.append(Block(" ".join(label.split()), url))
        elif paragraph.strip():
            blocks.append(Block(paragraph.strip()))
    return blocks
