"""The spec: what it may say, read strictly and checked before anything is spent."""
