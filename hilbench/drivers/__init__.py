"""The leaves: one driver a file, found by name through ``hilbench.plugins``. All that rots lives here."""
