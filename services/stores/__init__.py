"""The databases of others that a sweep writes to: Optuna's storage and MLflow."""
