"""Kinds of operators, a record each: what importers, interpreter, passes and lowering know of them.

A module here registers its records when it is imported, and all modules are imported with the
package, which is as soon as a record is asked for or registered. Operators of other packages are
registered by whoever imports them.
"""

import importlib
import pkgutil

__all__: list[str] = []

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
