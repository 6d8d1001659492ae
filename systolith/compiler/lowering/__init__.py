"""From operators to layers: what the accelerator does for each of them."""
