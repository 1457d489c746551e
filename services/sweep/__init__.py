"""One driver's run of a sweep: search, trials, racing, the final evaluation."""
