"""What streams and pipelines are made of: skid buffers, pipeline registers, delay lines."""
