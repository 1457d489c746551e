"""What a sweep leaves on disk, and what is told of it."""
