"""`contrasweep doctor`: what is wrong with an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from contrasweep.services.cli.app import Json, app, aside, console
from contrasweep.services.screen.waiting import waiting

if TYPE_CHECKING:
    from contrasweep.services.doctor.finding import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at versions, folders, stores, servers, tokens, GPU and clock; exit code 1 if something fails."""
    with waiting(aside() if as_json else console, "looking at this installation"):
        from contrasweep.services.doctor.examination import examine

        findings = examine()
    if as_json:
        from pydantic import TypeAdapter

        from contrasweep.services.doctor.finding import Finding

        typer.echo(TypeAdapter(list[Finding]).dump_json(findings, indent=1))
    else:
        _show(findings)
    raise typer.Exit(any(finding.level == "fail" for finding in findings))


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        level = f"[{_STYLES[finding.level]}]{finding.level:4}[/]"
        advice = f"; {escape(finding.advice)}" if finding.advice else ""
        console.print(f"{level}  {finding.check:{width}}  {escape(finding.said)}{advice}", soft_wrap=True)
