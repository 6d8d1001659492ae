# amaranth: UnusedElaboratable=no
"""From a graph to a program."""

from dataclasses import replace

import numpy as np

from rtl.accelerator import AcceleratorParams, Kind, descriptor_words
from rtl.accelerator.registers import Window
from rtl.validate import integer
from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.codegen.program import Program, Segment, areas_of, encode, gather
from systolith.compiler.cost.layers import planning_core
from systolith.compiler.lowering.concat_reshape import concatenate, reshape
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import convolution, dense_words
from systolith.compiler.lowering.elementwise import add, function, fused
from systolith.compiler.lowering.pooling import mean, pad, pool, resize
from systolith.compiler.lowering.transposed_convolution import transposed
from systolith.compiler.memory.tensor_placement import Storage
from systolith.compiler.passes import optimise, write_inputs
from systolith.compiler.schedule.batching import conv_plans, stacks
from systolith.compiler.schedule.order import on_host, schedule
from systolith.compiler.schedule.residual_fusion import choose_sums, in_place, next_to_each_other
from systolith.compiler.tiling.conv_layers import CONVOLUTIONS
from systolith.graph.ir import POINTWISE

__all__ = ["compile_graph", "input_words", "needs_of"]

#: What computes each operator on the accelerator.
LOWER = {**dict.fromkeys(CONVOLUTIONS, convolution), "TRANSPOSE_CONV": transposed, "ADD": add,
         "AVERAGE_POOL_2D": pool, "MAX_POOL_2D": pool, "MEAN": mean, "PAD": pad,
         "RESIZE_NEAREST_NEIGHBOR": resize, "CONCATENATION": concatenate, "RESHAPE": reshape,
         **dict.fromkeys(POINTWISE, function)}


#: Parameters that say whether there is a unit, and layers that need it.
UNITS = {"pooling": {Kind.POOL}, "addition": {Kind.ADD, Kind.TABLE}}


def compile_graph(graph, params, keep=False, batch=1, buffered=False, compact=False):
    """The :class:`Program` of ``graph`` for an accelerator of ``params``.

    With ``keep`` no tensor makes room for another, and none is done without, so that all can be
    read afterwards. A run takes ``batch`` pictures, which share weights where a layer can take them
    at once. A ``buffered`` program has a twin, so that inputs and outputs are moved during runs. A
    ``compact`` one takes its inputs in as few bytes as can be, where others may take lines of a
    picture several times over to be done in fewer cycles.

    Raises :exc:`ValueError` for what cannot run, and for a network that does not fit: every memory
    that is short, and by how much.
    """
    plan = _Plan(graph, params, keep, batch, buffered, compact)
    lacking = [unit.upper() for unit in UNITS if plan.needs[unit] and not getattr(params, unit)]
    if lacking:
        raise ValueError(f"the network needs what this build does not have: {', '.join(lacking)}")
    short = [f"{name.replace('_', ' ')}: {need} are needed, {need - getattr(params, name)} more "
             f"than the {getattr(params, name)} of this build"
             for name, need in plan.needs.items() if need > getattr(params, name)]
    if short:
        what = "inputs and outputs do not fit twice; " if buffered else "the network does not fit; "
        raise ValueError(what + "; ".join(short))
    context, (weights, channels, bases) = plan.context, plan.gathered
    descriptors = encode(params, graph.rounding, plan.encoded, plan.ends, bases, plan.areas)
    return Program(params=params, graph=plan.graph, steps=plan.steps, layers=plan.layers,
                   descriptors=descriptors, weights=weights, channels=channels,
                   areas=plan.areas, places=context.places, inputs=context.dense, needs=plan.needs,
                   least_activations=plan.least * params.word_bytes, keep=keep, pictures=batch,
                   twin=plan.twin)


def needs_of(graph, params, keep=False, batch=1, buffered=False, compact=False):
    """What ``graph`` takes of each memory, by the name of the parameter that sizes it; of line
    buffer and accumulators, what its largest line takes; and whether it takes each of the
    :data:`UNITS`.

    Raises :exc:`ValueError` for what cannot run, whatever the memories.
    """
    return _Plan(graph, params, keep, batch, buffered, compact).needs


class _Plan:
    """Layers of a graph, where its tensors lie, and what all of that takes."""

    def __init__(self, graph, params, keep, batch, buffered, compact):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        if params.rounding not in {graph.rounding, "both"}:
            raise ValueError(f"the network needs the rounding {graph.rounding}, but the build has "
                             f"{params.rounding} alone: build it with that, or with both")
        integer("batch", batch, 1, MOST)
        if keep and buffered:
            raise ValueError("runs that keep all tensors cannot overlap")
        graph = write_inputs(graph)
        if not keep:
            graph = optimise(graph)
        self.graph, core = graph, planning_core(params)
        order = schedule(graph)
        self.params = params
        storage = Storage(graph, order, params)
        inputs = _dense_inputs(graph, order)
        plans, stacked = conv_plans(core, graph, storage, inputs, batch, compact)
        stacked |= {op.index for op in storage.accelerated
                    if op.kind not in CONVOLUTIONS and stacks(graph, op, batch)}
        dense = {op.inputs[0]: plans[op.index] for op in storage.accelerated
                 if op.inputs[0] in inputs}
        words = {op.inputs[0]: (1 if op.index in stacked else batch) * dense_words(plans[op.index])
                 for op in storage.accelerated if op.inputs[0] in dense}
        need, self.least = storage.settle(words, batch, keep, plans, buffered)
        self.context = Context(graph=graph, core=core, places=storage.places, plans=plans,
                               dense=dense, sums={}, stacked=stacked, pictures=batch,
                               pooling=params.pooling)
        if not keep:
            order, storage, need = self._fuse(order, storage, words, need, buffered)
        length = descriptor_words(params)
        self.layers, self.steps = _lower(self.context, order, storage, length)
        kinds = {layer.kind for layer in self.layers}
        self.ends = {step.first + step.layers for step in self.steps if isinstance(step, Segment)}
        self.encoded, self.twin = self.layers, None
        if buffered:
            self._double(order, storage, length)
        self.gathered = weights, channels, _ = gather(self.encoded, params.array.cols)
        sizes = {Window.ACTIVATIONS: need, Window.WEIGHTS: len(weights),
                 Window.PARAMS: len(channels["bias"]) * params.channel_words,
                 Window.PROGRAM: (len(self.encoded) + len(self.ends)) * length}
        self.areas, total = areas_of(params, sizes)
        self.steps = tuple(
            replace(step, start=step.start + self.areas[Window.PROGRAM])
            if isinstance(step, Segment) else step for step in self.steps)
        self.needs = {"activation_bytes": total * params.word_bytes} if params.unified else {
            "activation_bytes": need * params.word_bytes,
            "weight_bytes": weights.size,
            "channels": len(channels["bias"]),
            "program_words": sizes[Window.PROGRAM],
        }
        self.needs |= _geometry(layer.plan for layer in self.layers if layer.plan)
        self.needs |= {unit: not kinds.isdisjoint(needing) for unit, needing in UNITS.items()}

    def _fuse(self, order, storage, sizes, need, buffered):
        """Let additions take place in convolutions where that is faster, and needs no memory that
        there is not. Returns the order, storage and need for that."""
        context, params = self.context, self.params
        sums = choose_sums(context, storage.accelerated, params, _layers)
        while sums:
            new_order = next_to_each_other(order, sums)
            passing = {op.outputs[0] for op in order if op.index in sums}
            new = Storage(self.graph, new_order, params, passing)
            new_need, least = new.settle(sizes, context.pictures, False, context.plans, buffered)
            kept = in_place(new, sums, context.plans)
            if kept != sums:
                sums = kept
                continue
            if new_need > need and (params.unified or new_need > params.words):
                break
            self.least = least
            self.context = replace(context, places=new.places, sums=sums)
            return new_order, new, new_need
        return order, storage, need

    def _double(self, order, storage, length):
        """Another variant of the program, with the places of the twin."""
        if len(self.ends) != 1:
            raise ValueError("runs cannot overlap: the network runs in "
                             f"{len(self.ends)} parts, with work of the host between them"
                             if self.ends else "runs cannot overlap: the host does all of them")
        self.twin = storage.twin
        context = replace(self.context, places=self.twin)
        self.encoded += _lower(context, order, storage, length)[0]
        self.ends.add(len(self.encoded))


def _layers(context, op):
    """Those of all pictures."""
    layers = []
    for picture in range(context.pictures // context.count(op)):
        each = LOWER[op.kind](context.of(picture), op)
        total = context.sums.get(op.index)
        layers += fused(context, total, each) if total else each
    return layers


def _lower(context, order, storage, words):
    """Layers, whose descriptors take as many ``words``, and steps of them."""
    layers, steps, begin = [], [], 0

    def close():
        nonlocal begin
        if len(layers) > begin:
            segments = sum(isinstance(step, Segment) for step in steps)
            steps.append(Segment(first=begin, layers=len(layers) - begin,
                                 start=(begin + segments) * words,
                                 words=(len(layers) - begin + 1) * words))
            begin = len(layers)

    done = {total.index for total in context.sums.values()}
    for op in order:
        if op not in storage.accelerated:
            close()
            steps.append(op)
        elif op.index not in done and (op.kind != "RESHAPE" or op in storage.moved):
            layers += _layers(context, op)
    close()
    return tuple(layers), tuple(steps)


def _geometry(plans):
    needs = {}
    for plan in plans:
        for name, least in plan.least.items():
            needs[name] = max(needs.get(name, 0), least)
    return needs


def _dense_inputs(graph, order):
    """Inputs that one convolution alone reads: they are written in the order that it wants."""
    readers = {tensor: [op for op in order if tensor in op.inputs] for tensor in graph.inputs}
    return {tensor for tensor, ops in readers.items() if tensor not in graph.outputs
            and len(ops) == 1 and _is_convolution(graph, ops[0]) and not on_host(graph, ops[0])}


def _is_convolution(graph, operator):
    """Whether it sums over all channels; over a single one a depthwise layer does."""
    return operator.kind == "CONV_2D" or (operator.kind == "DEPTHWISE_CONV_2D"
                                          and graph.operand(operator, 0).shape[3] == 1)


def input_words(program, tensor, x):
    """Words (count, word_bytes) of all pictures ``x`` of a tensor, to write from its place on."""
    place = program.places[tensor]
    if plan := program.inputs.get(tensor):
        # A plan is of one picture, or of all, one below the other.
        lines = plan.layer.shape.height * plan.layer.shape.width // place.width
        return np.concatenate([plan.words(part[None]) for part in x.reshape(
            -1, lines, place.width, place.channels)])
    pictures = x.reshape(-1, place.height, place.width, place.channels)
    filled = np.pad(pictures, ((0, 0), (0, 0), (0, 0), (0, place.filled - place.channels)))
    return filled.reshape(-1, place.word_bytes)
