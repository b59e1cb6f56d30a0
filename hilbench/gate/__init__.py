"""Regression gate: a run against a baseline, a verdict per board x variant x metric. Pure."""
