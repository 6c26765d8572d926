"""`python -m numlin` is the command `numlin`."""

import sys

from numlin.cli import main

sys.exit(main())
