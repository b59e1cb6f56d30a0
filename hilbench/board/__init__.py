"""One board's life: images, lock, power, flash, hello, load, run, reset."""
