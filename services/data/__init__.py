"""From raw files to what workers read: checks, the volume store, the plan, weights to start from."""
