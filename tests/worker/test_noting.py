"""What the handlers note: the ends of children apart from all other signals, and none is lost."""

from __future__ import annotations

from support import python

_SCRIPT = """
import os, select, signal, subprocess
from aque.worker.signals import Signals

signals = Signals()
signals.install()

def end_a_child():
    subprocess.run("true")
    assert select.select([signals.fileno()], [], [], 10)[0]

assert not signals.take_ends()
end_a_child()
assert signals.take_ends()
assert not signals.take_ends()
end_a_child()
os.kill(os.getpid(), signal.SIGTERM)
end_a_child()
assert not signals.take_ends()
assert signals.take() == [signal.SIGTERM]
end_a_child()
signals.wake()
assert not signals.take_ends()
assert not select.select([signals.fileno()], [], [], 0)[0]
signals.hear_end()
assert signals.take_ends()
"""


def test_the_ends_of_children_and_other_signals_are_told_apart() -> None:
    python(_SCRIPT)
