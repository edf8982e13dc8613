"""A sandbox in this process whose time stands until the test moves it. Every answer of it has the shape that the
official library declares, or the test that got it fails."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sandbox import jobs
from sandbox.app import Call, answer
from sandbox.engine import Engine
from tests.sandbox.declared import misfits


@dataclass
class Travel:
    """Asks as a client does, without a network between."""

    engine: Engine
    key: str = "sk_test_123"
    now: int = 1_800_000_000

    def ask(self, method: str, path: str, *, idempotency_key: str = "", **data: str) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/x-www-form-urlencoded"}
        if idempotency_key:
            headers["idempotency-key"] = idempotency_key
        body = urlencode(data).encode() if method == "POST" else b""
        query = urlencode(data) if method in ("GET", "DELETE") else ""
        said = answer(self.engine, Call(method, path, query, headers, body, "http://sandbox.example"))
        found = json.loads(bytes(said.body))
        shaped = said.status_code == 200 and not path.startswith("/_sandbox/")
        assert not shaped or not misfits(found), (method, path, misfits(found))
        return said.status_code, found

    def visit(self, method: str, address: str, /, **form: str) -> int:
        """What a browser does on a hosted page; the status of the answer."""
        path, _, query = address.partition("?")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return answer(self.engine, Call(method, path, query, headers, body, "http://sandbox.example")).status_code

    def get(self, path: str, **data: str) -> Any:
        return self.ask("GET", path, **data)[1]

    def post(self, path: str, **data: str) -> Any:
        status, said = self.ask("POST", path, **data)
        assert status == 200, said
        return said

    def advance(self, seconds: int) -> None:
        self.now += seconds
        jobs.run_due(self.engine)
