"""Studies: tables and figures of papers as sweeps, with the published numbers beside ours."""
