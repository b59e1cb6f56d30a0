"""Power switches, one a file."""
