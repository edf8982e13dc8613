"""`manage.py check` knows what would make every call fail."""

import pytest

from ops.effects.destinations.checks import check_settings


def test_good_settings_are_not_talked_about(settings):
    settings.ENCRYPTION_KEYS = ["a key that is long enough for nobody to guess it"]
    assert check_settings() == []


# a setting, a value that is wrong, and the check that says so
@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("DESTINATIONS_ALLOWED_NETWORKS", ["10.0.0.0/99"], "ops.E001"),
        ("DESTINATIONS_ALLOWED_NETWORKS", ["localhost"], "ops.E001"),
        ("DESTINATIONS_CA_FILE", "/nowhere.pem", "ops.E002"),
        ("DESTINATIONS_CA_FILE", __file__, "ops.E002"),
        ("ENCRYPTION_KEYS", ["short"], "ops.W001"),
    ],
)
def test_a_wrong_setting_is_said(settings, name, value, check):
    setattr(settings, name, value)
    assert [found.id for found in check_settings()] == [check]
