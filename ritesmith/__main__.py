"""`python -m ritesmith` is `ritesmith`."""

import sys

from ritesmith.cli import main

sys.exit(main())
