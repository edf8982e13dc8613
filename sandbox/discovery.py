"""Finds what is served: every module of these packages is imported once, which fills the table of routes."""

import importlib
import pkgutil

PACKAGES = ("sandbox.resources", "sandbox.hosted")


def discover() -> None:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{name}.{module.name}")
