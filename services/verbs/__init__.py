"""What can be asked of sweeps, on this machine, on a cluster and at a service alike."""
