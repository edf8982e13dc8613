"""dj-stripe's tables on an empty database, made at once as they finally are instead of in a minute of migrating.

Why and how safely: docs/decisions/0002-dj-stripe-schema.md. `tests/billing/mirror/test_schema.py` compares the
result with that of the real migrations, catalog by catalog.
"""

from collections.abc import Iterable
from importlib.metadata import version

from django.core.management import call_command
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

APP = "djstripe"
# What the comparison was made with. Any other version, or any other list of migrations, takes the long way.
PROVEN_VERSION = "2.11.0"
PROVEN_MIGRATIONS = ("0001_initial", "0002_2_10", "0003_2_11")
# Two deployments that start at once must not both find the database empty. The number names this lock alone.
PREPARE_LOCK = 0x6B657373  # "kess"


def prepare_database(connection: BaseDatabaseWrapper, *, verbosity: int = 1) -> bool:
    """Bring the database to the present schema; return whether dj-stripe's tables were made at once.

    Safe to run at every deployment and from several places at once: whoever comes second waits, then finds
    nothing to do. On a database that holds anything of dj-stripe it is `migrate` and no more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARE_LOCK])
    try:
        made = may_make_tables(connection)
        if made:
            make_tables(connection)
        call_command("migrate", database=connection.alias, interactive=False, verbosity=verbosity)
        return made
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARE_LOCK])


def may_make_tables(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the short way is proven for the installed dj-stripe and the database holds nothing of it."""
    loader = MigrationExecutor(connection).loader
    on_disk = tuple(sorted(name for app, name in loader.graph.nodes if app == APP))
    if version("dj-stripe") != PROVEN_VERSION or on_disk != PROVEN_MIGRATIONS:
        return False
    recorded = any(app == APP for app, _name in loader.applied_migrations)
    tables = connection.introspection.table_names(include_views=True)
    return not recorded and not any(name.startswith(f"{APP}_") for name in tables)


def make_tables(connection: BaseDatabaseWrapper) -> None:
    """Create dj-stripe's tables and record its migrations as applied, both or neither.

    What its first migration depends on is migrated before. The models are those that its migrations end with,
    not those of its code: the two differ in the keys of three tables.
    """
    executor = MigrationExecutor(connection)
    first = executor.loader.graph.node_map[(APP, PROVEN_MIGRATIONS[0])]
    executor.migrate([parent.key for parent in first.parents])
    final = executor.loader.project_state((APP, PROVEN_MIGRATIONS[-1])).apps
    recorder = MigrationRecorder(connection)
    with transaction.atomic(using=connection.alias):
        # The schema editor runs what it put off (foreign keys, indexes) when it closes.
        with connection.schema_editor(atomic=False) as editor:
            for model in in_order_of_dependency(final.get_app_config(APP).get_models()):
                editor.create_model(model)
        for name in PROVEN_MIGRATIONS:
            recorder.record_applied(APP, name)


def in_order_of_dependency(models: Iterable[type[Model]]) -> list[type[Model]]:
    """Order models so that each stands after those it points to; a circle is cut anywhere, as constraints wait.

    Many-to-many tables come with their models (`create_model` makes them).
    """
    waiting = set(models)
    order: list[type[Model]] = []

    def visit(model: type[Model]) -> None:
        if model not in waiting:
            return
        waiting.discard(model)
        for field in model._meta.local_fields:
            if field.is_relation and isinstance(field.related_model, type):
                visit(field.related_model)
        order.append(model)

    for model in sorted(waiting, key=lambda model: model._meta.db_table):
        visit(model)
    return order
