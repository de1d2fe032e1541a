"""aque-xargs: a drop-in for GNU xargs whose commands are tasks of a queue."""
