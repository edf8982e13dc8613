"""What comes in an address is a number of ours or none: nothing in between, and no error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.numerals import MOST_DIGITS, whole_number


@given(st.integers(min_value=0, max_value=10**MOST_DIGITS - 1))
def test_what_was_written_is_read(number):
    assert whole_number(str(number)) == number


@given(st.text(alphabet=st.characters(categories=["Nd", "No", "Nl", "Zs", "Sm", "Pd", "Pc"])))
def test_only_digits_of_ascii_are_read(text):
    read = whole_number(text)
    assert read is None or (set(text) <= set("0123456789") and 0 <= read < 10**MOST_DIGITS)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "1_000",
        " 1",
        "²",
        "٣",
        "9" * 19,
        pytest.param("9" * 5_000, id="endless"),
    ],
)
def test_anything_else_is_none(text):
    assert whole_number(text) is None
