"""`contrasweep token`: who may ask the service for what."""

import time
from typing import Annotated

import typer
from rich.table import Table

from contrasweep.services.cli.app import app, console
from contrasweep.services.service.tokens import FILE, Tokens
from contrasweep.services.text import moment

token = typer.Typer(no_args_is_help=True, help="Tokens for the service: who may ask it for what.")
app.add_typer(token, name="token")


@token.command()
def create(
    user: Annotated[str, typer.Option(help="Whose it is; their sweeps carry this name.")],
    role: Annotated[str, typer.Option(help="viewer reads, submitter runs sweeps and stops their own, admin all.")],
    days: Annotated[float | None, typer.Option(help="Until it expires; without, never.", show_default=False)] = None,
) -> None:
    """Print a new token, once: only its hash is kept."""
    typer.echo(_tokens().create(user, role, days))


@token.command("list")
def list_tokens() -> None:
    """All tokens by their ids."""
    table = Table(box=None, pad_edge=False)
    for title in ("id", "user", "role", "created", "expires"):
        table.add_column(title)
    for one in _tokens().every():
        expires = "never" if one.expires is None else moment(one.expires)
        expires += " (expired)" if one.expires is not None and one.expires <= time.time() else ""
        table.add_row(one.id, one.user, one.role, moment(one.created), expires)
    console.print(table, soft_wrap=True)


@token.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID", help="A token's id, as `token list` shows it.")],
) -> None:
    """Make a token useless; a running service knows within a second."""
    revoked = _tokens().revoke(name)
    typer.echo(f"revoked {revoked.id} of {revoked.user}, {revoked.role}")


def _tokens() -> Tokens:
    from contrasweep.services.settings import load_settings

    return Tokens(load_settings().home / FILE)
