"""Networks on targets: sessions, drivers, devices, and simulators that stand for them."""
