"""What hilbench.pytest_plugin does once a test needs a board; imported only then."""
