"""Mail of playbooks: letters as files (`letters`), what they may speak of (`facts`), and an outbox (`outbox`)."""
