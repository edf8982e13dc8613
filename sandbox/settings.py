"""What somebody has set and a restart must not forget: values by name, for the whole sandbox or for one account."""

import json
from typing import Any

from sandbox.json_text import dumps
from sandbox.store import Transaction

EVERYWHERE = ""
CLOCK_OFFSET = "clock.offset"


def read(tx: Transaction, name: str, *, scope: str = EVERYWHERE, default: Any = None) -> Any:
    row = tx.sql("SELECT value FROM settings WHERE scope=? AND name=?", scope, name).fetchone()
    return json.loads(row[0]) if row else default


def write(tx: Transaction, name: str, value: Any, *, scope: str = EVERYWHERE) -> None:
    tx.sql("INSERT OR REPLACE INTO settings (scope, name, value) VALUES (?,?,?)", scope, name, dumps(value))
