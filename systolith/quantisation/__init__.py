"""From float networks to quantised ones, by onnxruntime's own quantiser."""
