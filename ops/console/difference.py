"""What changed from one text to the next, line by line. Pure."""

import difflib
from collections.abc import Iterator, Sequence

MEANINGS = {"-": "gone", "+": "new", " ": "same"}


def difference(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield lines that went ("gone"), came ("new") or stayed near them ("same"), and "gap" for those between."""
    for line in list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]:
        if not line.startswith("@@"):
            yield MEANINGS[line[0]], line[1:]
        elif not line.startswith(("@@ -1", "@@ -0")):
            yield "gap", "…"
