"""`python -m ritesmith` is `ritesmith`."""

import sys

from ritesmith.entry import main

sys.exit(main())
