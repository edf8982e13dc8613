"""What a test starts is a process of its own: its settings, its output, its end."""

import os
import signal
import subprocess

import pytest

from tests import processes

pytestmark = pytest.mark.django_db

SAY = "from django.db import connection; from django.conf import settings; print("
SETTINGS = SAY + "connection.settings_dict['NAME'], settings.STRIPE_SECRET_KEY, settings.SITE_URL)"


def said_by(code: str, **environment: str) -> str:
    process = processes.start("manage", "shell", "--no-imports", "-c", code, piped=True, **environment)
    assert process.stdout
    with process.stdout as told:
        said = told.read()
    assert process.wait(60) == 0
    return said.strip()


def test_it_has_the_settings_of_its_own_environment():
    from django.db import connection

    ours = connection.settings_dict["NAME"]
    asked = {"STRIPE_SECRET_KEY": "sk_test_one", "SITE_URL": "http://one.example"}
    assert said_by(SETTINGS, **asked) == f"{ours} sk_test_one http://one.example"
    asked = {"STRIPE_SECRET_KEY": "sk_test_two", "DATABASE_URL": "postgres://127.0.0.1:9/another"}
    assert said_by(SETTINGS, **asked) == "another sk_test_two http://127.0.0.1:8000"


def test_it_reads_and_writes_the_database_of_the_test(transactional_db):
    code = "from accounts.models import Organization; print(Organization.objects.create(name='Acme').name)"
    assert said_by(code) == "Acme"
    from accounts.models import Organization

    assert Organization.objects.get().name == "Acme"


def test_how_it_ended_is_told():
    assert processes.start("manage", "no_such_command").wait(60) == 1
    process = processes.start("tests.crashes.loop", piped=True)
    assert process.stdout
    with process.stdout as told:
        assert told.readline() == "ready\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    process.kill()  # as with any process that has ended, nothing happens
    assert process.poll() == -signal.SIGKILL
