"""``python -m hilbench``."""

import sys

from hilbench.cli import main

sys.exit(main())
