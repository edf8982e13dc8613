"""Numbers as they come in addresses, forms and headers. Pure."""

MOST_DIGITS = 18  # what a bigint holds, whatever they are


def whole_number(text: str | None) -> int | None:
    """The number that these digits write, from 0 to 10¹⁸ - 1; None for anything else, digits of other scripts too.

    Python's own `int` takes `٣`, ` 3 `, `1_000` and `-3`, and raises for more than 4,300 digits.
    """
    if not text or len(text) > MOST_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    return int(text)
