"""From a graph to a program."""

from dataclasses import replace

import numpy as np

from rtl.accelerator import AcceleratorParams, Kind, descriptor_words
from rtl.accelerator.registers import Window
from rtl.validate import integer
from systolith.compiler.codegen.loop_nests import MOST
from systolith.compiler.codegen.program import Program, Segment, areas_of, encode, gather
from systolith.compiler.cost.machine import Machine
from systolith.compiler.lowering.concat_reshape import concatenate, reshape
from systolith.compiler.lowering.context import Context
from systolith.compiler.lowering.convolution import convolution, dense_words
from systolith.compiler.lowering.elementwise import add, function, fused
from systolith.compiler.lowering.pooling import mean, pad, pool, resize
from systolith.compiler.lowering.transposed_convolution import transposed
from systolith.compiler.memory.tensor_placement import TensorPlacement
from systolith.compiler.passes import absorb_input_reshapes, optimise
from systolith.compiler.schedule.batching import can_batch, conv_plans
from systolith.compiler.schedule.order import on_host, schedule
from systolith.compiler.schedule.residual_fusion import (
    choose_fused_adds,
    in_place,
    next_to_each_other,
)
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


def compile_graph(graph, params, keep=False, batch=1, double_buffered=False, compact=False):
    """The :class:`Program` of ``graph`` for an accelerator of ``params``.

    With ``keep`` no tensor makes room for another, and none is done without, so that all can be
    read afterwards. A run takes ``batch`` images, which share weights where a layer can take them
    at once. A ``double_buffered`` program has a twin, so that inputs and outputs are moved during
    runs. A ``compact`` one takes its inputs in as few bytes as can be, where others may take lines
    of an image several times over to be done in fewer cycles.

    Raises :exc:`ValueError` for what cannot run, and for a network that does not fit: every memory
    that is short, and by how much.
    """
    plan = _Plan(graph, params, keep, batch, double_buffered, compact)
    lacking = [unit.upper() for unit in UNITS if plan.needs[unit] and not getattr(params, unit)]
    if lacking:
        raise ValueError(f"the network needs what this build does not have: {', '.join(lacking)}")
    short = [f"{name.replace('_', ' ')}: {need} are needed, {need - getattr(params, name)} more "
             f"than the {getattr(params, name)} of this build"
             for name, need in plan.needs.items() if need > getattr(params, name)]
    if short:
        what = ("inputs and outputs do not fit twice; " if double_buffered
                else "the network does not fit; ")
        raise ValueError(what + "; ".join(short))
    context, (weights, channels, bases) = plan.context, plan.gathered
    descriptors = encode(params, graph.rounding, plan.encoded, plan.ends, bases, plan.areas)
    return Program(params=params, graph=plan.graph, steps=plan.steps, layers=plan.layers,
                   descriptors=descriptors, weights=weights, channels=channels,
                   areas=plan.areas, regions=context.regions, inputs=context.dense,
                   needs=plan.needs,
                   least_activations=plan.least * params.word_bytes, keep=keep, images=batch,
                   pong=plan.pong)


def needs_of(graph, params, keep=False, batch=1, double_buffered=False, compact=False):
    """What ``graph`` takes of each memory, by the name of the parameter that sizes it; of line
    buffer and accumulators, what its largest line takes; and whether it takes each of the
    :data:`UNITS`.

    Raises :exc:`ValueError` for what cannot run, whatever the memories.
    """
    return _Plan(graph, params, keep, batch, double_buffered, compact).needs


class _Plan:
    """Layers of a graph, where its tensors lie, and what all of that takes."""

    def __init__(self, graph, params, keep, batch, double_buffered, compact):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        if params.rounding not in {graph.rounding, "both"}:
            raise ValueError(f"the network needs the rounding {graph.rounding}, but the build has "
                             f"{params.rounding} alone: build it with that, or with both")
        integer("batch", batch, 1, MOST)
        if keep and double_buffered:
            raise ValueError("runs that keep all tensors cannot overlap")
        graph = absorb_input_reshapes(graph)
        if not keep:
            graph = optimise(graph)
        self.graph, machine = graph, Machine.of(params)
        order = schedule(graph)
        self.params = params
        placement = TensorPlacement(graph, order, params)
        inputs = _dense_inputs(graph, order)
        plans, batched = conv_plans(machine, graph, placement, inputs, batch, compact)
        batched |= {op.index for op in placement.accelerated
                    if op.kind not in CONVOLUTIONS and can_batch(graph, op, batch)}
        dense = {op.inputs[0]: plans[op.index] for op in placement.accelerated
                 if op.inputs[0] in inputs}
        words = {op.inputs[0]: (1 if op.index in batched else batch) * dense_words(plans[op.index])
                 for op in placement.accelerated if op.inputs[0] in dense}
        need, self.least = placement.settle(words, batch, keep, plans, double_buffered)
        self.context = Context(graph=graph, machine=machine, regions=placement.regions, plans=plans,
                               dense=dense, sums={}, batched=batched, images=batch,
                               pooling=params.pooling)
        if not keep:
            order, placement, need = self._fuse(order, placement, words, need, double_buffered)
        length = descriptor_words(params)
        self.layers, self.steps = _lower(self.context, order, placement, length)
        kinds = {layer.kind for layer in self.layers}
        self.ends = {step.first + step.layers for step in self.steps if isinstance(step, Segment)}
        self.encoded, self.pong = self.layers, None
        if double_buffered:
            self._double(order, placement, length)
        self.gathered = weights, channels, _ = gather(self.encoded, params.array.cols)
        sizes = {Window.ACTIVATIONS: need, Window.WEIGHTS: len(weights),
                 Window.PARAMS: len(channels["bias"]) * params.channel_words,
                 Window.PROGRAM: (len(self.encoded) + len(self.ends)) * length}
        self.areas, total = areas_of(params, sizes)
        self.steps = tuple(
            replace(step, start=step.start + self.areas[Window.PROGRAM])
            if isinstance(step, Segment) else step for step in self.steps)
        self.needs = {"activation_bytes": total * params.word_bytes} if params.single_memory else {
            "activation_bytes": need * params.word_bytes,
            "weight_bytes": weights.size,
            "channels": len(channels["bias"]),
            "program_words": sizes[Window.PROGRAM],
        }
        self.needs |= _geometry(layer.plan for layer in self.layers if layer.plan)
        self.needs |= {unit: not kinds.isdisjoint(needing) for unit, needing in UNITS.items()}

    def _fuse(self, order, placement, sizes, need, double_buffered):
        """Let additions take place in convolutions where that is faster, and needs no memory that
        there is not. Returns the order, storage and need for that."""
        context, params = self.context, self.params
        sums = choose_fused_adds(context, placement.accelerated, params, _layers)
        while sums:
            new_order = next_to_each_other(order, sums)
            passing = {op.outputs[0] for op in order if op.index in sums}
            new = TensorPlacement(self.graph, new_order, params, passing)
            new_need, least = new.settle(sizes, context.images, False,
                                         context.plans, double_buffered)
            kept = in_place(new, sums, context.plans)
            if kept != sums:
                sums = kept
                continue
            if new_need > need and (params.single_memory or new_need > params.words):
                break
            self.least = least
            self.context = replace(context, regions=new.regions, sums=sums)
            return new_order, new, new_need
        return order, placement, need

    def _double(self, order, placement, length):
        """Another variant of the program, with the places of the twin."""
        if len(self.ends) != 1:
            raise ValueError("runs cannot overlap: the network runs in "
                             f"{len(self.ends)} parts, with work of the host between them"
                             if self.ends else "runs cannot overlap: the host does all of them")
        self.pong = placement.pong
        context = replace(self.context, regions=self.pong)
        self.encoded += _lower(context, order, placement, length)[0]
        self.ends.add(len(self.encoded))


def _layers(context, op):
    """Those of all images."""
    layers = []
    for image in range(context.images // context.count(op)):
        each = LOWER[op.kind](context.of(image), op)
        total = context.sums.get(op.index)
        layers += fused(context, total, each) if total else each
    return layers


def _lower(context, order, placement, words):
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
        if op not in placement.accelerated:
            close()
            steps.append(op)
        elif op.index not in done and (op.kind != "RESHAPE" or op in placement.moved):
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
    """Words (count, word_bytes) of all images ``x`` of a tensor, to write from its place on."""
    region = program.regions[tensor]
    if plan := program.inputs.get(tensor):
        # A plan is of one image, or of all, one below the other.
        lines = plan.layer.shape.height * plan.layer.shape.width // region.width
        return np.concatenate([plan.words(part[None]) for part in x.reshape(
            -1, lines, region.width, region.channels)])
    images = x.reshape(-1, region.height, region.width, region.channels)
    filled = np.pad(images, ((0, 0), (0, 0), (0, 0), (0, region.filled - region.channels)))
    return filled.reshape(-1, region.word_bytes)
