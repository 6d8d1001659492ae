"""Where multipliers and block RAMs of an ECP5 are placed before all the rest."""

from collections import Counter

import pytest

from boards.devices import DEVICES, device_of
from boards.flow.macros import MACROS, anneal, closeness, pin_macros, sites_of

MULTIPLIER, RAM = MACROS
DEVICE = device_of("lfe5u-25f")


def cell(kind, **connections):
    ports = {port: bits if isinstance(bits, list) else [bits] for port, bits in connections.items()}
    return {"type": kind, "attributes": {}, "connections": ports}


def chain(count, kind=MULTIPLIER, wires=8):
    """Macros of which each has ``wires`` to the next one, through a flip-flop each."""
    cells = {}
    for index in range(count):
        nets = {f"{side}{wire}": 2 * (wires * (index - (side == "A")) + wire) + (side == "A") + 2
                for side in "AP" for wire in range(wires)
                if not (side == "A" and index == 0)}
        cells[f"m{index}"] = cell(kind, **nets)
        for wire in range(wires):
            net = 2 * (wires * index + wire) + 2
            cells[f"f{index}_{wire}"] = cell("TRELLIS_FF", DI=net, Q=net + 1, CLK=1)
    return {"cells": cells}


@pytest.mark.parametrize("device", [each for each in DEVICES.values() if each.family == "ecp5"])
def test_sites_are_those_of_the_device(device):
    sites = sites_of(device)
    assert [len(sites[kind]) for kind in MACROS] == [device.dsps, device.rams]
    places = [site.bel for kind in MACROS for site in sites[kind]]
    assert len(set(places)) == len(places)
    blocks = Counter(site.block for site in sites[MULTIPLIER])
    assert set(blocks.values()) == {4}


@pytest.mark.parametrize("size, kind, bels", [
    (25, MULTIPLIER, "X4/Y13/MULT18_0 X27/Y13/MULT18_5 X33/Y13/MULT18_0 X65/Y13/MULT18_5"),
    (25, RAM, "X4/Y37/EBR0 X28/Y25/EBR3 X33/Y25/EBR0 X66/Y37/EBR3"),
    (45, MULTIPLIER, "X36/Y22/MULT18_5 X42/Y22/MULT18_0 X83/Y46/MULT18_5"),
    (45, RAM, "X13/Y10/EBR0 X37/Y34/EBR3 X42/Y58/EBR0 X84/Y10/EBR3"),
    (85, MULTIPLIER, "X63/Y10/MULT18_5 X69/Y34/MULT18_0 X119/Y58/MULT18_5"),
    (85, RAM, "X64/Y22/EBR3 X69/Y46/EBR0 X120/Y82/EBR3 X62/Y70/EBR2"),
])
def test_sites_that_nextpnr_has_used(size, kind, bels):
    assert set(bels.split()) <= {site.bel for site in sites_of(device_of(f"lfe5u-{size}f"))[kind]}


def test_closeness_shares_out_what_goes_on():
    """By hand: a wire to one other macro, and one that parts into two."""
    module = {"cells": {
        "a": cell(MULTIPLIER, P0=2, P1=3, CLK=9), "b": cell(MULTIPLIER, A0=2, CLK=9),
        "c": cell(RAM, ADA0=4, CLKA=9), "d": cell(RAM, ADA0=5), "l": cell("LUT4", A=3, Z=4),
        "k": cell("LUT4", A=3, Z=5)}}
    weights = closeness(module)
    assert weights["a", "b"] == 2.0                 # from either side
    assert weights["a", "c"] == weights["a", "d"] == 0.5 + 0.5  # half of one; and half of each back
    assert weights["c", "d"] == 1.0
    assert ("b", "c") not in weights


def test_cells_share_out_what_goes_on():
    """What comes to a cell of three nets more goes on by each of them."""
    module = {"cells": {"a": cell(MULTIPLIER, P0=2), "l": cell("CCU2C", A0=2, S0=3, S1=4, COUT=5),
                        "b": cell(RAM, DIA0=3), "c": cell(RAM, DIA0=4), "d": cell(RAM, DIA0=5)}}
    assert closeness(module)["a", "b"] == pytest.approx(2 / 3)


def test_nets_of_control_are_not_followed():
    module = {"cells": {"a": cell(RAM, CLKA=2, WEA=3, CEB=4), "b": cell(RAM, CLKA=2, WEA=3, CEB=4)}}
    assert closeness(module) == {}


def wires(weights, places):
    return sum(weight * (abs(places[a].x - places[b].x) + abs(places[a].y - places[b].y))
               for (a, b), weight in weights.items())


def test_a_chain_is_laid_out_as_one():
    module, sites = chain(28), sites_of(DEVICE)
    weights = closeness(module)
    places = anneal(module, weights, sites, seed=3)
    assert len({site.bel for site in places.values()}) == 28
    assert all(site in sites[MULTIPLIER] for site in places.values())
    in_line = dict(zip((f"m{n}" for n in range(28)), sites[MULTIPLIER], strict=True))
    assert wires(weights, places) < 1.5 * wires(weights, in_line)


def test_enables_of_a_block_suffice():
    """Each pair of neighbours has an enable of its own, and all have a constant: two pairs in a
    block take three, and parts of four pairs five."""
    module = chain(28)
    for index in range(28):
        module["cells"][f"m{index}"]["connections"] |= {"CE0": ["1"], "CE1": [1000 + index // 2]}
    places = anneal(module, {}, sites_of(DEVICE))
    used = {}
    for name, site in places.items():
        connections = module["cells"][name]["connections"]
        used.setdefault(site.block, set()).update(
            connections[port][0] for port in ("CE0", "CE1"))
    assert max(map(len, used.values())) <= 4


@pytest.mark.parametrize("pins, spread_enables", [(600, True), (100, False)])
def test_an_enable_from_afar_leads_to_a_block_but_once(pins, spread_enables):
    """Seven multipliers, neighbours, of one enable, and seven blocks: one is in each; if that has
    few pins, they stay together."""
    module = chain(28)
    for index in range(7):
        module["cells"][f"m{index}"]["connections"]["CE0"] = [1000]
    module["cells"] |= {f"e{n}": cell("TRELLIS_FF", CE=1000, Q=2000 + n) for n in range(pins)}
    places = anneal(module, closeness(module), sites_of(DEVICE), spread_enables=True)
    blocks = Counter(places[f"m{index}"].block for index in range(7))
    assert (max(blocks.values()) == 1) is spread_enables


def test_what_cannot_be_placed_is_refused():
    with pytest.raises(ValueError, match="29 MULT18X18D, but 28 sites"):
        anneal(chain(29), {}, sites_of(DEVICE))
    module = chain(28)
    for index in range(28):
        module["cells"][f"m{index}"]["connections"] |= {"CE0": [1000 + index],
                                                        "CE1": [2000 + index]}
    with pytest.raises(ValueError, match="clock enables"):
        anneal(module, {}, sites_of(DEVICE))


def test_places_are_the_same_each_time():
    first, second = chain(6), chain(6)
    for module in first, second:
        pin_macros(module, DEVICE, seed=2)
    assert first == second
    assert all("BEL" in cell["attributes"] for name, cell in first["cells"].items()
               if name.startswith("m"))
