"""How long events are kept: payloads go to an archive, later the rows go too; both come back when they are needed."""
