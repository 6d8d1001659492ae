from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.layouts import ChannelParams, OutputRange
from rtl.postprocess.float32 import FromFloat, ToFloat
from rtl.postprocess.multiply import Multiply
from rtl.postprocess.rounding import Rounding
from rtl.stream.pipeline import pipeline
from rtl.validate import boolean, one_of

__all__ = ["ROUNDINGS", "PipelinedLane"]

#: As TensorFlow Lite Micro, by float32, or either.
ROUNDINGS = "tflm", "float32", "both"


class PipelinedLane(wiring.Component):
    """A requantisation each cycle, with a latency of ``latency`` enabled cycles.

    Parameters
    ----------
    rounding : :class:`str`
        As of :class:`Requantizer`.
    varies : :class:`bool`
        As of :class:`Rounding`.

    Members
    -------
    enable : ``In(1)``
        Advances all registers.
    acc, params, range : ``In``
        ``params`` go with ``acc``, ``range`` is as of :class:`Rounding`.
    float32 : ``In(1)``
        With ``rounding="both"``: the mode, which holds.
    o : ``Out(signed(8))``
    """

    def __init__(self, *, rounding="tflm", varies=False):
        self.rounding = one_of("rounding", rounding, ROUNDINGS)
        self.varies = boolean("varies", varies)
        self.latency = self.latency_of(rounding)
        super().__init__({
            "enable": In(1),
            "acc": In(signed(32)),
            "params": In(ChannelParams),
            "range": In(OutputRange),
            "o": Out(signed(8)),
            **({"float32": In(1)} if rounding == "both" else {}),
        })

    @staticmethod
    def latency_of(rounding):
        """Latency, in enabled cycles, with that ``rounding``."""
        longest = ToFloat.latency + FromFloat.latency
        return 1 + Multiply.latency + (Rounding.latency if rounding == "tflm" else longest)

    def elaborate(self, platform):
        m = Module()
        enable = self.enable

        def after(value, name, cycles=1):
            return pipeline(m, enable, value, name, cycles)

        m.submodules.multiply = multiply = Multiply(drop=31 if self.rounding == "tflm" else 0)
        m.d.comb += multiply.enable.eq(enable)
        x = after((self.acc + self.params.bias)[:32].as_signed(), "x")
        params = {name: after(self.params[name], name) for name in ("multiplier", "shift")}

        results = {}
        if self.rounding != "float32":
            shift = params["shift"]
            operands = x, params["multiplier"], Mux((shift != 0) & x[-1], -1, 1)
            m.submodules.rounding = rounding = Rounding(varies=self.varies)
            m.d.comb += [
                rounding.enable.eq(enable),
                rounding.scaled.eq(multiply.product[31 - multiply.drop:].as_signed()),
                rounding.shift.eq(after(shift, "shift_multiply", Multiply.latency)),
                rounding.range.eq(self.range),
            ]
            results["tflm"] = rounding.o
        if self.rounding != "tflm":
            m.submodules.to_float = to_float = ToFloat()
            m.submodules.from_float = from_float = FromFloat(varies=self.varies)
            m.d.comb += [
                to_float.enable.eq(enable),
                to_float.x.eq(x),
                to_float.scale.eq(params["multiplier"]),
                from_float.enable.eq(enable),
                from_float.product.eq(multiply.product),
                from_float.range.eq(self.range),
                from_float.negative.eq(after(to_float.negative, "negative", Multiply.latency)),
                from_float.exponent.eq(after(to_float.exponent, "exponent", Multiply.latency - 1)),
            ]
            float_operands = (to_float.mantissa, to_float.scale_mantissa, 0)
            results["float32"] = from_float.o
        match self.rounding:
            case "tflm":
                m.d.comb += self.o.eq(results["tflm"])
            case "float32":
                operands = float_operands
                m.d.comb += self.o.eq(results["float32"])
            case "both":
                # As the mode holds, only results of fixed point have to wait.
                operands = [Mux(self.float32, *pair)
                            for pair in zip(float_operands, operands, strict=True)]
                wait = self.latency_of("float32") - self.latency_of("tflm")
                m.d.comb += self.o.eq(Mux(self.float32, results["float32"], after(
                    results["tflm"], "fixed_wait", wait)))
        m.d.comb += [port.eq(value) for port, value in zip(
            (multiply.x, multiply.multiplier, multiply.addend), operands, strict=True)]
        return m
