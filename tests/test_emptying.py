"""The database is empty after a test that committed, whoever was still writing; content types and permissions stay."""

import threading

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from accounts.models import Organization
from tests.emptying import KEPT, MANY, delete_rows


def rows_left() -> dict[str, int]:
    tables = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    counts = {table: model._default_manager.count() for table, model in tables.items() if model._meta.managed}
    return {table: count for table, count in counts.items() if count and table not in KEPT}


@pytest.mark.django_db(transaction=True)
def test_rows_are_gone_and_what_was_made_with_the_tables_is_there(acme, charlie):
    charlie.user_permissions.add(Permission.objects.get(codename="change_organization"))
    before = ContentType.objects.count(), Permission.objects.count()
    assert {"accounts_user", "accounts_organization", "accounts_user_user_permissions"} <= rows_left().keys()
    delete_rows(connection)
    assert rows_left() == {}
    assert (ContentType.objects.count(), Permission.objects.count()) == before
    assert min(before) > 0


@pytest.mark.django_db(transaction=True)
def test_many_rows_are_gone_too(acme):
    before = Permission.objects.count()
    Organization.objects.bulk_create(Organization(name=f"Acme {number}") for number in range(MANY + 1))
    delete_rows(connection)
    assert rows_left() == {}
    assert Permission.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_who_still_writes_is_waited_for():
    written, may_commit = threading.Event(), threading.Event()

    def write_late() -> None:
        with transaction.atomic():
            Organization.objects.create(name="Late", billing_email="late@example.com")
            written.set()
            may_commit.wait(60)
        connection.close()

    writer = threading.Thread(target=write_late)
    writer.start()
    assert written.wait(60)
    threading.Timer(0.1, may_commit.set).start()
    delete_rows(connection)
    writer.join(60)
    assert rows_left() == {}
