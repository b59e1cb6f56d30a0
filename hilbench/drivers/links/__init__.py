"""Links: byte pipes to boards, one driver a file."""
