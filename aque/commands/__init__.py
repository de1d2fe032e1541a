"""The commands: one module, or package, for each executable.

Nothing else imports them: how often Python looks for garbage is theirs to say.
"""

import gc

gc.set_threshold(20_000)  # what a command loads as it starts is none, and each look takes a while
