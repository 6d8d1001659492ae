"""Which tensors are kept where: memory of their own, a part of another tensor's, or the host."""

import math
from dataclasses import replace

from systolith.compiler.memory.allocation import allocate, lower_bound
from systolith.compiler.memory.region import Region
from systolith.compiler.schedule.order import on_host
from systolith.graph.ir import POINTWISE

__all__ = ["TensorPlacement"]

#: Operators that write a word after they have read it, and never look at it again.
IN_PLACE = {"ADD", *POINTWISE}


def can_run_in_place(plan):
    """Whether a convolution has taken a line of its input before it writes that of its result.

    Each word is taken once, and line by line. The taps of result ``y`` reach down to ``y`` if there
    is not more padding before than a kernel has lines; among them is line ``y`` itself if the
    padding is some number of dilated taps.
    """
    shape = plan.layer.shape
    before, dilation = shape.padding[0][0], shape.dilation[0]
    return shape.stride == (1, 1) and before < shape.span(0) and before % dilation == 0


class TensorPlacement:
    """Places of all tensors that the accelerator reads or writes.

    Operands of a concatenation are written to their channels of the result, unless something needs
    them elsewhere. A reshaped tensor stays as it lies, if what reads it can take it so, or if it
    can be computed so. The result of an operator that works word by word, or of a convolution that
    has taken each line before it writes there, replaces an operand that nothing needs any more.

    Attributes
    ----------
    regions : dict
        By tensor; of the first image, without its address until :meth:`settle`.
    pong : dict
        Those of a second run, which the host prepares while the first is under way.

    Parameters
    ----------
    passing : set
        Tensors that are never in memory.
    """

    def __init__(self, graph, order, params, passing=()):
        self.graph, self.order = graph, order
        self.accelerated = [op for op in order if not on_host(graph, op)]
        self.regions = {tensor: self._place(tensor, params.word_bytes) for tensor in
                       {each for op in self.accelerated for each in (*op.inputs, *op.outputs)
                        if each >= 0 and graph.tensors[each].data is None} - set(passing)}
        self._owner = {tensor: tensor for tensor in self.regions}
        self.moved = []  # reshaping that is work
        self._readers = {tensor: [op for op in order if tensor in op.inputs]
                         for tensor in self.regions}
        for op in reversed(self.accelerated):
            if op.kind == "CONCATENATION":
                self._join(op)
        for op in self.accelerated:
            if op.kind == "RESHAPE":
                self._reshape(op)

    def _place(self, tensor, word_bytes):
        shape, name = self.graph.tensors[tensor].shape, self.graph.tensors[tensor].name
        if shape[0] != 1:
            raise ValueError(f"tensor {tensor} ({name}) has the shape {shape}; the first axis is "
                             "that of the images, of which a network takes one at a time: "
                             "convert the model for a batch of 1")
        *lines, width, channels = (1,) * (4 - len(shape)) + shape[1:]
        return Region(height=math.prod(lines), width=width, channels=channels,
                     word_bytes=word_bytes)

    def owner(self, tensor):
        """The tensor whose memory ``tensor`` lies in."""
        while self._owner[tensor] != tensor:
            tensor = self._owner[tensor]
        return tensor

    def _join(self, operator):
        """Put operands into the result where that does no harm."""
        made = {op.outputs[0] for op in self.accelerated if op.kind != "RESHAPE"}
        joined, first = self.regions[operator.outputs[0]], 0
        for tensor in operator.inputs:
            part = joined.slice(first, self.regions[tensor].channels)
            first += part.channels
            others = [op for op in self._readers[tensor] if op is not operator]
            if (tensor in made and operator.inputs.count(tensor) == 1
                    and self._owner[tensor] == tensor
                    and not any(op.kind == "ADD" or part.offset for op in others)):
                self.regions[tensor] = part
                self._owner[tensor] = operator.outputs[0]

    def _reshape(self, operator):
        before, after = operator.inputs[0], operator.outputs[0]
        x, y = self.regions[before], self.regions[after]
        if x.whole and (x.channels == y.channels or (x.filled, y.filled)
                        == (x.channels, y.channels)):
            self.regions[after] = replace(x, height=y.height, width=y.width, channels=y.channels,
                                         pixel_step=0, line_step=0)
        elif all(self._flat(op) for op in self._readers[after]):
            self.regions[after] = x
        elif self._spreads(before, x):
            self.regions[before] = y
        else:
            self.moved.append(operator)
            return
        self._owner[after] = before

    def _flat(self, operator):
        """Whether ``operator`` takes bytes in their order, whatever pixels they belong to."""
        if operator.kind == "FULLY_CONNECTED":
            x, weights = (self.graph.operand(operator, n) for n in (0, 1))
            return math.prod(x.shape) == weights.shape[1]
        return operator.kind == "RESHAPE" or on_host(self.graph, operator)

    def _spreads(self, tensor, region):
        """Whether what computes ``tensor`` can give the pixels of what it is reshaped to: a fully
        connected layer has filters without weights for the bytes that fill up words."""
        made = next((op for op in self.accelerated if tensor in op.outputs), None)
        return (made is not None and made.kind == "FULLY_CONNECTED" and len(self._readers[tensor])
                == 1 and region.height * region.width == 1)

    def settle(self, sizes, images=1, keep=False, plans=(), double_buffered=False):
        """Give everything its address.

        ``sizes`` in words are those of tensors that are written in another form. With ``keep``
        nothing makes room for anything else. ``plans`` has those of convolutions by index of
        operator. If ``double_buffered``, what the host reaches lies there twice, all the time.
        Returns the words needed, and the least that any allocation would need.
        """
        lifetimes, own = self._lifetimes(keep), set(sizes)  # written in the order of a plan
        ends = self._ends() if double_buffered else set()
        lifetimes |= dict.fromkeys(ends, (-1, len(self.order)))
        sizes = {owner: sizes.get(owner, self.regions[owner].words * images)
                 for owner in lifetimes}
        self._share(lifetimes, sizes, {} if keep else plans, own)
        sizes = {owner: sizes[owner] for owner in lifetimes}
        for owner in ends:
            sizes["twin", owner], lifetimes["twin", owner] = sizes[owner], lifetimes[owner]
        bases, need = allocate(sizes, lifetimes)
        twins = {**bases, **{owner: bases["twin", owner] for owner in ends}}
        self.regions, self.pong = ({tensor: region.at(those[self.owner(tensor)])
                                   for tensor, region in self.regions.items()}
                                  for those in (bases, twins))
        return need, lower_bound(sizes, lifetimes)

    def _ends(self):
        """Owners of what the host writes or reads: inputs, outputs, and operands and results of
        its own operators."""
        local = (op for op in self.order if on_host(self.graph, op))
        reached = {*self.graph.inputs, *self.graph.outputs, *(
            tensor for op in local for tensor in (*op.inputs, *op.outputs))}
        return {self.owner(tensor) for tensor in reached & set(self.regions)}

    def _lifetimes(self, keep):
        """First and last step of each memory, by its owner."""
        end = len(self.order)
        lifetimes = {}

        def alive(tensor, step):
            owner = self.owner(tensor)
            first, last = lifetimes.get(owner, (step, step))
            lifetimes[owner] = min(first, step), max(last, step)

        for tensor in self.graph.inputs:
            if tensor in self.regions:
                alive(tensor, -1)
        for step, op in enumerate(self.order):
            for tensor in {*op.inputs, *op.outputs} & set(self.regions):
                alive(tensor, step)
        for tensor in self.regions if keep else set(self.graph.outputs) & set(self.regions):
            alive(tensor, end)
        return lifetimes

    def _share(self, lifetimes, sizes, plans, own):
        """Results in place of operands that end with the operator; but not of ``own`` ones, which
        lie in the order of their plan, if that is turned."""
        for step, op in enumerate(self.order):
            result = op.outputs[0]
            in_place = op.kind in IN_PLACE or (
                op.index in plans and can_run_in_place(plans[op.index]))
            if not in_place or self._owner.get(result) != result:
                continue
            for tensor in op.inputs:
                if tensor not in self.regions or (tensor in own and plans[op.index].transposed):
                    continue
                owner = self.owner(tensor)
                if (lifetimes[owner][1] == step == lifetimes[result][0]
                        and sizes[owner] == sizes[result]
                        and self.regions[owner].alike(self.regions[tensor])
                        and self.regions[tensor].alike(self.regions[result])):
                    self._owner[result] = owner
                    lifetimes[owner] = lifetimes[owner][0], lifetimes.pop(result)[1]
                    break
