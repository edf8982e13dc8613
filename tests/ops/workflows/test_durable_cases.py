"""What AWS recorded holds for the durable engine too: a sample of each group, through real rows."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from ops.workflows.conformance import is_synchronous, judge_asl, read_cases, run_durably

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "asl_cases.jsonl"
OF_EACH_GROUP = 3

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not VECTORS.exists(), reason="The recorded cases (../shared/vectors) are not here."),
]


def test_executions_in_rows_end_as_on_aws():
    groups: dict[str, list[dict]] = defaultdict(list)
    for case in read_cases(VECTORS.read_text(encoding="utf-8").splitlines()):
        # A synchronous express execution does not tell how often it was redriven: all run as standard ones here.
        if not (is_synchronous(case) and "RedriveCount" not in json.dumps(case["expect"].get("output"))):
            groups[case["group"]].append(case)
    cases = [case for group in groups.values() for case in group[:OF_EACH_GROUP]]
    verdicts = [judge_asl(case, runner=run_durably) for case in cases]
    assert len(cases) > 80
    assert [(verdict.id, verdict.expect, verdict.got) for verdict in verdicts if not verdict.right] == []
