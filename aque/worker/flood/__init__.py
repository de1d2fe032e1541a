"""Own how the short commands of aque-xargs follow each other, by which it keeps up with xargs.

To start a command takes as long as a short one runs, so between the end of one and the start of the
next there is no time for a whole turn of the loop. Two things are done about that.

As commands end the next start in their slots, before all else is seen to; how they ended is told of
many at a time (relay.py). Any command may be one of these, and so it is in most runs.

Where they end so fast that to start them takes the time (gauge.py), it is a flood. Then two forks
of us, its supervisors, start the commands and await them (supervisor.py), while we hand over more
and tell the queue what has ended (flood.py). It lasts as long as all is alike: commands that need
nothing but to be started, that are short and succeed, and of which more wait than may run. At
anything else the supervisors retire: they start nothing more, and stay until what they have started
has ended (retired.py), since they are its parents. So they need to know nothing of kills, limits,
retries or the queue, and all that is not a flood is dealt with as if there were none.

The loop knows `Relay` alone.
"""
