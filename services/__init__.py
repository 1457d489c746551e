"""Sweeps: what to run, where, and what came of it. Computes no loss."""
