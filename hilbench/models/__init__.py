"""Models and vectors on the host: readers, planner, oracles."""
