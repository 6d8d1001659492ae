"""What lowering an operator needs to know of the others."""

from dataclasses import dataclass, replace

from systolith.compiler.cost.machine import Machine

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """A graph for one build.

    Attributes
    ----------
    graph : :class:`systolith.graph.ir.Graph`
    machine : :class:`~systolith.compiler.cost.machine.Machine`
        That of the build.
    regions : dict
        The :class:`~systolith.compiler.memory.region.Region` of each tensor's first image.
    plans : dict
        The :class:`~systolith.compiler.tiling.conv_plan.ConvPlan` of each convolution, by its
        operator's index.
    dense : dict
        Inputs that are written in the order in which a convolution takes them: its plan.
    sums : dict
        The ADD that takes place in a convolution, by the index of that.
    stacked : set
        Indices of operators that take all images at once, as if they were one.
    images : :class:`int`
        Images of a run.
    image : :class:`int`
        The one that is lowered now.
    pooling : :class:`bool`
        Whether the build has a unit for windows.
    """

    graph: object
    machine: Machine
    regions: dict
    plans: dict
    dense: dict
    sums: dict
    batched: set
    images: int = 1
    image: int = 0
    pooling: bool = True

    def region(self, operator, tensor):
        region = self.regions[tensor]
        if operator.index in self.batched:
            return region.batched(self.images)
        return region.at(self.image * region.words)

    def count(self, operator):
        """Images that a layer of ``operator`` takes."""
        return self.images if operator.index in self.batched else 1

    def source(self, operator, position=0):
        return self.region(operator, operator.inputs[position])

    def target(self, operator):
        """Where the results of ``operator`` go, or the sum that they become a part of."""
        return self.region(operator, self.sums.get(operator.index, operator).outputs[0])

    def of(self, image):
        return replace(self, image=image)
