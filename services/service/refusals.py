"""What the service refuses, each with its HTTP status; the message is one line and names nothing of the machine."""

from typing import ClassVar

from contrasweep.trainers.errors import UserError


class Refusal(UserError):
    """A request that cannot be served as it stands."""

    status: ClassVar[int] = 422


class Missing(Refusal):
    """There is no such sweep, configuration or report."""

    status = 404


class Forbidden(Refusal):
    """The sweep is somebody else's."""

    status = 403


class Conflict(Refusal):
    """The sweep is not in a state in which that can be done."""

    status = 409


class Unavailable(Refusal):
    """Something that the service needs does not answer; the same request may go well later."""

    status = 503
