"""Building blocks of streams and pipelines: skid buffers, pipeline registers, delay lines."""
