"""CloudFormation templates of playbooks: `<playbook>/stack.json` below the setting PLAYBOOKS_DIRECTORY."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings


class NoTemplate(LookupError):
    """The message is the sentence: which file is missing, or what is wrong with it."""


def template_of(playbook: str) -> dict[str, Any]:
    """Read a playbook's template; its name was checked by whoever asks. Raises NoTemplate."""
    place = Path(settings.PLAYBOOKS_DIRECTORY) / playbook / "stack.json"
    try:
        template = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoTemplate(f"the playbook {playbook} has no stack.json.")
    except ValueError as error:
        raise NoTemplate(f"the stack.json of the playbook {playbook} cannot be read: {error}.")
    if not isinstance(template, dict):
        raise NoTemplate(f"the stack.json of the playbook {playbook} is no object.")
    return template
