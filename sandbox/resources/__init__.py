"""One file a family of resources; importing this package fills the table of routes.

A file that is added here is served; nothing else has to be touched.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
