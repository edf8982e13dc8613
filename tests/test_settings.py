from django.db import connection


def test_the_database_is_postgresql(db: None) -> None:
    assert connection.vendor == "postgresql"
