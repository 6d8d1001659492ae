"""Which vendor's primitives a design may use, by the platform it is elaborated for."""

__all__ = ["FAMILIES", "family_of", "has_spram"]

#: ``generic`` has no primitives: it can be simulated, and synthesised by any tool.
FAMILIES = ("generic", "ice40", "ecp5")


def family_of(platform: object) -> str:
    """Name of the family of ``platform``, which is :data:`None` (generic), the name of a family, or
    one of Amaranth's platforms."""
    if platform is None:
        return "generic"
    if isinstance(platform, str) and platform in FAMILIES:
        return platform
    match getattr(platform, "device", ""):
        case str(device) if device.startswith("iCE40"):
            return "ice40"
        case str(device) if device.startswith("LFE5"):
            return "ecp5"
    raise NotImplementedError(f"no primitives are known for {platform!r}")


def has_spram(platform: object) -> bool:
    """Whether ``platform`` has single-port RAM: iCE40 UltraPlus, and ``"ice40"`` without a part."""
    return (family_of(platform) == "ice40"
            and getattr(platform, "device", "iCE40UP").startswith("iCE40UP"))
