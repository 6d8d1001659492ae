"""Kinds of operators, a record each: what importers, interpreter, passes and lowering know of them.

A module here registers its records when it is imported, and all modules are imported when a record
is first asked for. Operators of other packages are registered by whoever imports them.
"""
