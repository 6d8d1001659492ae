"""What ``systolith run`` shows of layers and of digits."""

__all__ = ["draw_digits", "layer_table"]

#: Digits that are drawn: as many as fit into 80 columns.
DRAWN = 4


def layer_table(session, run, differing):
    """Cycles of each operator of a run, and how many bytes of it differ."""
    from host.cli.show import table

    params, program = session.target.params, session.program
    array = params.array
    products = params.products
    result = table(
        f"Accelerator of {params.shape} products, {array.fir_rows} of the rows also "
        f"FIR;\ndepth {params.depth}, {params.lanes} lanes of requantisation; cycles of one input",
        "operator", "result", "MACs", "cycles", "floor", "use", "band", "differ")
    for operator in program.graph.operators:
        mine = [(layer, cycles) for layer, cycles in zip(program.layers, run.layer_cycles,
                                                         strict=True)
                if layer.operator is operator]
        macs, cycles = sum(layer.macs for layer, _ in mine), sum(cycles for _, cycles in mine)
        bands = [str(layer.plan.band) for layer, _ in mine if layer.plan]
        result.add_row(
            f"{operator.index} {operator.kind}",
            "x".join(map(str, run.values[operator.outputs[0]].shape[1:])),
            *_figures(macs, cycles, products,
                      "host" if operator in program.rest else "no work"),
            ",".join(bands), str(differing[operator.outputs[0]]))
    result.add_section()
    result.add_row("from go to done", "", *_figures(program.macs, run.cycles, products, ""), "",
                   str(sum(differing.values())))
    return result


def _figures(macs, cycles, products, otherwise):
    if not cycles:
        return "", otherwise, "", ""
    if not macs:
        return "", f"{cycles:,}", "", ""
    floor = -(-macs // products)
    return f"{macs:,}", f"{cycles:,}", f"{floor:,}", f"{macs / products / cycles:.1%}"


def draw_digits(console, digits, result):
    """Some of the digits, and what the network takes them for."""
    from rich.text import Text

    labels = digits.labels[:len(result)].tolist()
    chosen = [labels.index(label) for label in dict.fromkeys(labels)][:DRAWN]
    for line in range(8):
        console.print(Text("   ".join("".join(" ░▒▓█"[-(-int(grey) // 4)] * 2 for grey in picture)
                                      for picture in digits.greys[chosen, line])))
    names = []
    for index in chosen:
        label, scores = labels[index], result[index]
        guess = int(scores.argmax())
        share = (int(scores[guess]) + 128) / 256
        names.append(f"read as {guess} ({share:.0%})" if guess == label
                     else f"{label} read as {guess}!")
    console.print(Text("   ".join(name.ljust(16) for name in names)))
