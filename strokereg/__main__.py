"""`python -m strokereg`."""

import sys

from strokereg.cli.main import main

sys.exit(main())
