"""Shipped fakes and fault injectors: a faulty line, a paced line, a simulated board."""
