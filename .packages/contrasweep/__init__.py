"""contrasweep: sweeps of contrastive regression on medical images."""
