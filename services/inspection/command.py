"""`contrasweep inspect`: open, look, print, write the page."""

from rich.console import Console

from contrasweep.services.inspection.page import write_page
from contrasweep.services.inspection.report import inspect_store
from contrasweep.services.inspection.screen import print_report
from contrasweep.services.inspection.target import open_target
from contrasweep.services.screen.progress import meter
from contrasweep.services.settings import Settings


def inspect(target: str, settings: Settings, console: Console) -> None:
    """Inspect the images of a spec or of a store. Raises UserError as `open_target` does."""
    opened = open_target(target, settings, console)
    with meter(console, "inspecting") as shown:
        report = inspect_store(opened, lambda done, total: shown.update(done, total, unit="images"))
    print_report(console, report, write_page(report, settings.reports))
