"""`contrasweep predict`: what a sweep's model says of scans that come as they are."""
