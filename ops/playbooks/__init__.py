"""One folder a problem: rules, later workflows and e-mails, and a README. Files here are the source of rules."""
