"""Products of int8: one kind for each primitive, all with the same contract."""

from rtl.mac.dsp import DspProduct
from rtl.mac.dsp2 import Dsp2Product
from rtl.mac.generic import GenericProduct
from rtl.mac.lut import LutProduct
from rtl.mac.mac16 import Mac16Product
from rtl.mac.product import Product

__all__ = ["KINDS", "Product", "GenericProduct", "LutProduct", "DspProduct", "Dsp2Product",
           "Mac16Product"]

#: Every kind under the name by which a build asks for it.
KINDS = {
    "generic": GenericProduct,
    "lut": LutProduct,
    "dsp": DspProduct,
    "dsp2": Dsp2Product,
    "mac16": Mac16Product,
}
