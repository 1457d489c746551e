"""The service behind `contrasweep serve`: its queue, its tokens, what it lets through."""
