# amaranth: UnusedElaboratable=no
"""From a graph to a program."""

import math
from dataclasses import dataclass

import numpy as np

from host.compiler.lowering import LOWER, conv_plan
from host.compiler.places import Place, allocate
from host.compiler.program import Program, encode
from host.layers import CONVOLUTIONS
from rtl.accelerator import AcceleratorParams, descriptor_words
from rtl.conv2d import Conv2d

__all__ = ["compile_graph", "input_words", "needs_of", "planning_core"]


def planning_core(params):
    """The :class:`Conv2d` inside an accelerator, for :class:`~host.tiling.ConvPlan` to look at."""
    return Conv2d(params.array, depth=params.depth, lanes=params.lanes, counter=False,
                  requantize=params.requantize, output_register=params.output_register,
                  buffer_bytes=params.buffer_bytes, word_bytes=params.word_bytes,
                  max_lines=params.max_lines, max_pictures=1)


@dataclass(kw_only=True)
class Context:
    """What lowering an operator needs to know of the others."""

    graph: object
    core: Conv2d
    places: dict
    plans: dict
    dense: set

    def source(self, operator, position=0):
        return self.places[operator.inputs[position]]

    def target(self, operator):
        return self.places[operator.outputs[0]]


def compile_graph(graph, params, keep=False):
    """The :class:`Program` of ``graph`` for an accelerator of ``params``.

    Operators at the end that the accelerator does not have are left to the host. With ``keep`` no
    tensor makes room for another, so that all can be read afterwards.

    Raises :exc:`ValueError` for what cannot run, and for a network that does not fit: every memory
    that is short, and by how much.
    """
    plan = _Plan(graph, params, keep)
    short = [f"{name.replace('_', ' ')}: {need} are needed, {need - getattr(params, name)} more "
             f"than the {getattr(params, name)} of this build"
             for name, need in plan.needs.items() if need > getattr(params, name)]
    if short:
        raise ValueError("the network does not fit; " + "; ".join(short))
    descriptors, weights, channels = encode(params, plan.layers)
    return Program(params=params, graph=graph, layers=plan.layers, descriptors=descriptors,
                   weights=weights, channels=channels, places=plan.context.places, rest=plan.rest,
                   inputs=plan.inputs, needs=plan.needs, keep=keep)


def needs_of(graph, params, keep=False):
    """What ``graph`` takes of each memory, by the name of the parameter that sizes it.

    Raises :exc:`ValueError` for what cannot run, whatever the memories.
    """
    return _Plan(graph, params, keep).needs


class _Plan:
    """Layers of a graph, where its tensors lie, and what all of that takes."""

    def __init__(self, graph, params, keep):
        if not isinstance(params, AcceleratorParams):
            raise TypeError(f"params must be AcceleratorParams, not {params!r}")
        core = planning_core(params)
        operators, self.rest = _split(graph)
        aliases = {op.outputs[0]: op.inputs[0] for op in operators if op.kind == "RESHAPE"}
        places = _places(graph, operators, aliases, params)
        dense = _dense_inputs(graph, operators)
        plans = {op.index: conv_plan(core, graph, op, places[op.inputs[0]], op.inputs[0] in dense)
                 for op in operators if op.kind in CONVOLUTIONS}
        self.inputs = {op.inputs[0]: plans[op.index] for op in operators if op.inputs[0] in dense}
        words = {tensor: plan.shape.height * plan.shape.line_words(params.word_bytes)
                 for tensor, plan in self.inputs.items()}
        bases, need = _bases(graph, operators, self.rest, aliases, places, words, keep)
        places = {tensor: place.at(bases[_origin(aliases, tensor)])
                  for tensor, place in places.items()}
        self.context = Context(graph=graph, core=core, places=places, plans=plans,
                               dense=dense)
        self.layers = tuple(layer for op in operators if op.kind != "RESHAPE"
                            for layer in LOWER[op.kind](self.context, op))
        self.needs = {
            "activation_bytes": need * params.word_bytes,
            "weight_bytes": sum(layer.weights.size for layer in self.layers),
            "channels": sum(len(layer.params["bias"]) for layer in self.layers),
            "program_words": (len(self.layers) + 1) * descriptor_words(params),
        }


def _split(graph):
    """Operators for the accelerator, and those after them for the host."""
    known = [op.kind in LOWER or op.kind == "RESHAPE" for op in graph.operators]
    end = known.index(False) if False in known else len(known)
    late = [op for op, is_known in zip(graph.operators[end:], known[end:], strict=True)
            if is_known and op.kind != "RESHAPE"]
    if late:
        first = graph.operators[end]
        raise ValueError(f"operator {first.index} ({first.kind}) runs on the host, so what comes "
                         f"after it must too, but operator {late[0].index} is a {late[0].kind}")
    return graph.operators[:end], graph.operators[end:]


def _origin(aliases, tensor):
    while tensor in aliases:
        tensor = aliases[tensor]
    return tensor


def _places(graph, operators, aliases, params):
    """Places without addresses. A reshaped tensor stays as it lies."""
    places = {}
    for tensor in (*graph.inputs, *(op.outputs[0] for op in operators)):
        if tensor in aliases:
            places[tensor] = places[aliases[tensor]]
            continue
        first, *shape = graph.tensors[tensor].shape
        if first != 1:
            raise ValueError(f"tensor {tensor} ({graph.tensors[tensor].name}) has {first} pictures;"
                             " the accelerator takes one at a time")
        shape = tuple(shape)
        *lines, width, channels = (1,) * (3 - len(shape)) + shape
        height = math.prod(lines)
        places[tensor] = Place(height=height, width=width, channels=channels,
                               word_bytes=params.word_bytes)
    for op in operators:
        if op.inputs[0] in aliases and op.kind not in {"FULLY_CONNECTED", "RESHAPE"}:
            raise ValueError(f"operator {op.index} ({op.kind}) reads a reshaped tensor; only fully "
                             "connected layers can")
    return places


def _dense_inputs(graph, operators):
    """Inputs that one convolution alone reads: they are written in the order that it wants."""
    readers = {tensor: [op for op in operators if tensor in op.inputs] for tensor in graph.inputs}
    return {tensor for tensor, ops in readers.items() if tensor not in graph.outputs
            and len(ops) == 1 and ops[0].kind == "CONV_2D"}


def _bases(graph, operators, rest, aliases, places, words, keep):
    end = len(operators)
    lifetimes = dict.fromkeys(graph.inputs, (-1, -1))
    for step, op in enumerate(operators):
        for tensor in op.inputs:
            if tensor in places:
                origin = _origin(aliases, tensor)
                lifetimes[origin] = (lifetimes[origin][0], step)
        if op.kind != "RESHAPE":
            lifetimes[op.outputs[0]] = (step, step)
    wanted = {*graph.outputs, *(tensor for op in rest for tensor in op.inputs)}
    for tensor in places if keep else wanted & set(places):
        origin = _origin(aliases, tensor)
        lifetimes[origin] = (lifetimes[origin][0], end)
    sizes = {tensor: words.get(tensor, places[tensor].words) for tensor in lifetimes}
    return allocate(sizes, lifetimes)


def input_words(program, tensor, x):
    """Words (count, word_bytes) of an input ``x`` of one picture, to write from its place on."""
    place = program.places[tensor]
    picture = x.reshape(1, place.height, place.width, place.channels)
    if tensor in program.inputs:
        return program.inputs[tensor].words(picture)
    filled = np.pad(picture, ((0, 0), (0, 0), (0, 0), (0, place.filled - place.channels)))
    return filled.reshape(-1, place.word_bytes)
