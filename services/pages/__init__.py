"""What HTML pages are made of: templates, figures and tables in one look."""
