"""From raw scans to batches: participants, readers, transforms, the volume store, splits and feeds."""
