"""How fast the sandbox is on this machine: `python -m sandbox.bench`, or `make bench-sandbox`."""
