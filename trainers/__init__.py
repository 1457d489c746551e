"""One training run: one configuration, one seed. Knows nothing of sweeps, Ray Tune or MLflow."""
