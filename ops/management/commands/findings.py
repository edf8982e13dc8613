"""`manage.py findings`: look now, and say what is open. For people, and for a watcher that is not our own beat."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from ops.remediation.findings import look
from ops.remediation.models import Finding
from ops.remediation.words import words_of


class Command(BaseCommand):
    help = "Look for problems now and list the open findings. Ends with 1 when one is urgent and nobody sees to it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the open findings as JSON and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        look(now=timezone.now())
        open_ones = list(Finding.objects.filter(closed_at=None).order_by("-severity", "opened_at"))
        if options["json"]:
            self.stdout.write(json.dumps([told(finding) for finding in open_ones]))
        else:
            self.tell(open_ones)
        if any(finding.severity == "urgent" and not finding.acknowledged_at for finding in open_ones):
            raise SystemExit(1)

    def tell(self, findings: list[Finding]) -> None:
        for finding in findings:
            words = words_of(finding)
            self.stdout.write(f"{finding.get_severity_display()}: {words.title}. {words.meaning} {words.step}")
        if not findings:
            self.stdout.write("Nothing is wrong.")


def told(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "subject": finding.subject,
        "severity": finding.severity,
        "opened_at": finding.opened_at.isoformat(),
        "acknowledged": finding.acknowledged_at is not None,
        "evidence": finding.evidence,
    }
