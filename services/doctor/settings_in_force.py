"""Where the settings come from."""

import os

from contrasweep.services.doctor.finding import Found, ok
from contrasweep.services.settings import FILE_VARIABLE, PREFIX, settings_file


def sources() -> Found:
    """The settings file, where there is one, and the variables that are set; not what they say."""
    file = settings_file(os.environ)
    names = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() != FILE_VARIABLE)
    said = [str(file.absolute())] if file.is_file() else []
    said += [f"the environment ({', '.join(names)})"] if names else []
    return ok(f"from {' and '.join(said)}" if said else "the defaults; there is no contrasweep.toml and no variable")
