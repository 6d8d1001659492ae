"""What lowering an operator needs to know of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from systolith.compiler.cost.machine import Machine
from systolith.compiler.layout.region import Region
from systolith.compiler.tiling.plans import Plans
from systolith.graph.ir import Graph, Operator

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """A graph for one build.

    Attributes
    ----------
    graph : :class:`~systolith.graph.ir.Graph`
    machine : :class:`~systolith.compiler.cost.machine.Machine`
        That of the build.
    regions : mapping
        The :class:`~systolith.compiler.layout.region.Region` of each tensor's first image.
    plans : :class:`~systolith.compiler.tiling.plans.Plans`
    fused_adds : mapping
        The sum that takes place in a convolution, by the index of that.
    images : :class:`int`
        Images of a run.
    image : :class:`int`
        The one that is lowered now.
    pooling : :class:`bool`
        Whether the build has a unit for windows.
    """

    graph: Graph
    machine: Machine
    regions: Mapping[int, Region]
    plans: Plans
    fused_adds: Mapping[int, Operator]
    images: int = 1
    image: int = 0
    pooling: bool = True

    def region(self, operator: Operator, tensor: int) -> Region:
        return self.of_images(operator, self.regions[tensor])

    def of_images(self, operator: Operator, region: Region) -> Region:
        """That of the images which ``operator`` takes now, from that of the first one."""
        if operator.index in self.plans.batched:
            return region.batched(self.images)
        return region.at(self.image * region.words)

    def count(self, operator: Operator) -> int:
        """Images that a layer of ``operator`` takes."""
        return self.images if operator.index in self.plans.batched else 1

    def source(self, operator: Operator, number: int = 0) -> Region:
        """Where an activation lies, the first one by default."""
        return self.region(operator, operator.activations[number])

    def target(self, operator: Operator) -> Region:
        """Where the results of ``operator`` go, or the sum that they become a part of."""
        return self.region(operator, self.fused_adds.get(operator.index, operator).outputs[0])

    def of(self, image: int) -> "Context":
        return replace(self, image=image)
