"""What a rule can call: one module a kind, one verb, `call`. Each answers with an Outcome and raises nothing of the
outside's; each has a limit of time; the same call with the same key has its effect once where the other side can keep
to that (a bus and a standard queue or topic cannot: there the key goes along, for the receiver)."""
