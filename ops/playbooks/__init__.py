"""One folder a problem: rules, workflows, letters, and a README. Files here are their source (docs/playbooks.md)."""
