"""Ray: connecting to it, what it has room for, nodes that come and go, functions over many items."""
