"""`python -m contrasweep.services.cli`."""

from contrasweep.services.cli import main

main()
