"""What workflows ask customers: a mail with a link of each reader's own, a page, one answer (docs/playbooks.md)."""
