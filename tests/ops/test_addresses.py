"""Addresses that name no row: typed by hand, cut short in a mail, or made up."""

import pytest
from django.urls import reverse

from tests.cast import sign_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", ["²", "x", "9" * 19, pytest.param("9" * 5_000, id="endless")])
def test_an_address_without_a_row_is_not_found(olga, number):
    for name, *more in (
        *(("ops_approval_answer", "approve"), ("ops_approval_change",), ("ops_execution_change",)),
        *(("ops_execution_act", "redrive"), ("ops_rule_change",), ("ops_statemachine_change",)),
    ):
        address = reverse(f"admin:{name}", args=[number, *more])
        assert sign_in(olga).get(address).status_code in (302, 404), address  # Django leads back to some lists
