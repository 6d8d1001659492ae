"""The parameters of a build, read back from a device's registers."""

from collections.abc import Callable

from rtl.accelerator import AcceleratorParams
from rtl.accelerator.registers import FIRST_PARAMETER, ID, PARAMETERS, Register

__all__ = ["params_of"]


def params_of(read: Callable[[int], int]) -> AcceleratorParams:
    """The :class:`AcceleratorParams` of a device, of which ``read(offset)`` returns a register.

    They are those of its build, but for the kinds of its products, which no program depends on.

    Raises :exc:`ValueError` if the device is not an accelerator, or describes an impossible build.
    """
    if (found := read(Register.ID)) != ID:
        raise ValueError(f"the device is not an accelerator: its register ID must be {ID:#010x}, "
                         f"not {found:#010x}")
    values = {name: read(offset) for offset, name in enumerate(PARAMETERS, FIRST_PARAMETER)}
    try:
        return AcceleratorParams.of_registers(values, read(Register.FLAGS))
    except ValueError as error:
        raise ValueError(f"the device describes a build that cannot be: {error}") from error
