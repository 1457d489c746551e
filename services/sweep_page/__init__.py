"""A sweep as one HTML page that needs nothing beside itself: no script, no network."""

from contrasweep.services.sweep_page.page import render, write

__all__ = ["render", "write"]
