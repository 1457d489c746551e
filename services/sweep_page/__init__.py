"""A sweep as one HTML page that needs nothing beside itself: no script, no network."""

from services.sweep_page.page import render, write

__all__ = ["render", "write"]
