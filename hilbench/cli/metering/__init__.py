"""What ``hilbench meter`` does, one file an action."""
