"""The pages that Stripe hosts: checkout, invoice, billing portal; and the sandbox's own front page.

A file that is added here is served, as in resources/.
"""

import importlib
import pkgutil

import sandbox.resources  # noqa: F401  (what the pages show is declared there)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
