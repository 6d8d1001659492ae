"""What a board has around the accelerator: top level, PLL, SDRAM pins, boot from flash."""
