"""Who answers a command: a service, a Ray cluster, or the folders of this machine."""

from pydantic import TypeAdapter, ValidationError

from contrasweep.services.settings import Address, Settings, load_settings
from contrasweep.services.verbs.protocol import Verbs
from contrasweep.trainers.errors import UserError


def verbs(address: str, server: str) -> Verbs:
    """The sweeps of the service at `server`, else of the cluster at `address`, else of this machine.

    Either is what the option gave; where both are empty the settings say. Raises UserError on both, and on what is no
    address.
    """
    settings = settings_for(address, server)
    if settings.server:
        from contrasweep.services.verbs.http import Client

        return Client(settings)
    if settings.jobs_address:
        from contrasweep.services.verbs.ray_jobs import Jobs

        return Jobs(settings)
    from contrasweep.services.verbs.local import Local

    return Local(settings)


def settings_for(address: str, server: str) -> Settings:
    """The settings, with at most one of `server` and `jobs_address` in force: an option's before the settings'."""
    if address and server:
        raise UserError("--address and --server: only one of them is allowed")
    settings = load_settings()
    if not address and not server:
        return settings.model_copy(update={"jobs_address": ""}) if settings.server else settings
    asked = {"jobs_address": _checked("--address", address), "server": _checked("--server", server)}
    return settings.model_copy(update=asked)


def _checked(option: str, url: str) -> str:
    try:
        return TypeAdapter(Address).validate_python(url)
    except ValidationError as error:
        raise UserError(f"{option}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
