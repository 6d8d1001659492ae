"""From the declaration of a board to its bitstream: synthesis, place and route, reports,
flashing."""
