"""How much room texts take in a picture, near enough to leave room for them. Pure."""

from unicodedata import east_asian_width


def width_of(text: str, *, size: float) -> float:
    """About how wide a text is in pixels, set in a sans-serif of this size."""
    return sum(size if east_asian_width(letter) in "WF" else size * 0.57 for letter in text)


def cut(text: str, width: float, *, size: float) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if width_of(text, size=size) <= width:
        return text
    kept = ""
    for letter in text:
        if width_of(kept + letter + "…", size=size) > width:
            break
        kept += letter
    return kept.rstrip() + "…"


def lines_of(text: str, width: float, *, size: float, most: int) -> tuple[str, ...]:
    """The text in at most so many lines, parted at spaces where it has them; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1 and width_of(rest, size=size) > width:
        line = cut(rest, width, size=size).removesuffix("…")
        space = line.rfind(" ")
        if space > 0 and not rest[len(line) :].startswith(" "):
            line = line[:space]
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip()
    return (*lines, cut(rest, width, size=size))
