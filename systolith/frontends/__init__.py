"""From model files to graphs: one package for each format."""
