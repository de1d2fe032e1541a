"""Run aque-xargs as `python -m aque.commands.xargs`."""

import sys

from aque.commands import xargs

sys.exit(xargs.main())
