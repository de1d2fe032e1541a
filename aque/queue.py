"""Own the Queue: what a program, or a command, does with tasks."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from aque import brokers, prototypes, scripts, states, surroundings, trust
from aque.brokers.base import Broker
from aque.errors import UsageError
from aque.futures import Future
from aque.garbage import Uncollected

if TYPE_CHECKING:
    from logging import Logger

P = ParamSpec("P")
T = TypeVar("T")


class Queue:
    """A queue of tasks: a broker, or the URL or path of one; by default the user's own.

    Where there is none it is made, unless `create` is false, in a directory that is there. Raises
    BrokerError, or TrustError for somebody else's.
    """

    def __init__(self, broker: Broker | str | None = None, *, create: bool = True) -> None:
        if not isinstance(broker, Broker):
            broker = brokers.from_url(broker, create=create)
        self.broker: Broker = broker
        self._surroundings = surroundings.Surroundings()
        self._formed: tuple[tuple[Any, ...], prototypes.Form] | None = None

    @property
    def log(self) -> Logger:
        """The logger `aque.queue`."""
        import logging  # slow, and most programs never ask

        return logging.getLogger("aque.queue")

    # Submit

    def submit(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call. When this returns, the task survives whatever happens to this process.

        Futures among the arguments, which types cannot tell from their results, are waited for.
        Raises CodecError where the function cannot be found by name or a value not be encoded.
        """
        return self.submit_ex(func=func, args=args, kwargs=kwargs)

    def submit_ex(
        self, prototype: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> Future[Any]:
        """Submit one task, by a prototype, by its fields, or both.

        Fields are `func args kwargs pattern name priority cpus memory duration due_at cwd environ
        umask import_path interpreter stdin stdin_value stdout stderr extra`, and of other tasks
        (ids, futures or nested prototypes) `dependencies after_any children parent`.
        """
        return self.submit_many([{**(prototype or {}), **fields}])[0]

    def submit_many(self, submitted: Iterable[Mapping[str, Any]]) -> list[Future[Any]]:
        """Submit all prototypes or none, in one transaction; return their futures in order.

        Raises DependencyCycleError, DependencyResolutionError, CodecError or UsageError.
        """
        if scripts.is_loading_script():
            raise UsageError(
                "a script that is loaded for its functions must not submit: "
                'put what it does under if __name__ == "__main__":'
            )
        taken = self._surroundings.take()
        wanted = list(submitted)  # what makes them may take its time, and memory
        with Uncollected():
            flat = prototypes.flatten(wanted, taken, self._form(taken))
            self.refuse_others(flat.futures)
            ids = self.broker.create(flat.prototypes)
            return [Future(self, ids[index]) for index in flat.indices]

    def _form(self, taken: Mapping[str, Any]) -> prototypes.Form:
        """Return the form of calls, made anew where this process is not what it was."""
        made_of = (taken, surroundings.import_path(), trust.user_name())
        formed = self._formed
        if formed is None or formed[0] != made_of:
            self._formed = formed = made_of, prototypes.Form(taken)
        return formed[1]

    def refuse_others(self, futures: Iterable[Any], hint: str = "pass its result") -> None:
        """Raise UsageError for a future, found among arguments, of another queue's task."""
        for future in futures:
            if future.queue is not self and future.queue.broker.to_url() != self.broker.to_url():
                raise UsageError(
                    f"task {future.id} is in another queue ({future.queue.broker.to_url()}); {hint}"
                )

    def task(self, **defaults: Any) -> Callable[[Callable[P, T]], TaskFunction[P, T]]:
        """Make a function submittable: `@queue.task(cpus=2)`, then `function.submit(...)`."""
        return lambda func: TaskFunction(self, func, defaults)

    def future(self, id: int) -> Future[Any]:
        """Return the future of a task. Raises TaskNotFoundError if there is none."""
        self.broker.fetch([id])
        return Future(self, id)

    # Steer

    def kill(
        self,
        ids: Sequence[int],
        number: int = signal.SIGTERM,
        grace: float | None = None,
        recursive: bool = False,
    ) -> list[int]:
        """Cancel tasks and their children; with `recursive` all they depend on too.

        What waits never starts; what runs gets the signal and, after the grace (seconds; by default
        the queue's setting), KILL. Returns the ids concerned; wait for those to see the end.
        """
        wanted = self.in_order(ids) if recursive else list(ids)
        seconds = self.broker.settings()["grace"] if grace is None else grace
        self.broker.cancel(wanted, number, seconds)
        return self.with_children(wanted)

    def cancel_waiting(self, id: int) -> bool:
        """Cancel a task that has not started; whether it is cancelled now."""
        if self.broker.fetch([id])[0].status in states.WAITING_STATES:
            self.broker.cancel_waiting([id])
        return self.broker.fetch([id])[0].status == states.CANCELLED

    def signal(self, ids: Sequence[int], number: int) -> list[int]:
        """Signal the processes of running tasks; return the ids of those that run."""
        return self.broker.signal(ids, number)

    def retry(self, ids: Sequence[int], recursive: bool = False) -> None:
        """Have ended tasks run again, and their failed children.

        With `recursive` also what failed of all they depend on.

        Raises StateError for one that has not ended, or that needs what has failed.
        """
        wanted = list(ids)
        if recursive:
            below = self.broker.fetch([id for id in self.in_order(ids) if id not in set(ids)])
            failed = [task.id for task in below if task.status in states.FAILED_STATES]
            wanted = failed + wanted
        self.broker.retry(wanted)

    def remove(self, ids: Sequence[int]) -> None:
        """Forget tasks, their children and their output.

        Raises StateError for one that runs, or that an unfinished task waits for.
        """
        self.broker.remove(ids)

    # The graph

    def in_order(self, ids: Sequence[int]) -> list[int]:
        """Return these tasks and all they depend on, children too, dependencies first."""
        below: dict[int, list[int]] = {}
        level = list(dict.fromkeys(ids))
        while level:
            below.update({id: [] for id in level})
            for edge in self.broker.edges(level):
                below[edge.task].append(edge.dependency)
            found = {dependency for id in level for dependency in below[id]} - below.keys()
            level = sorted(self.broker.statuses(sorted(found)))
        return _post_order(ids, below)

    def with_children(self, ids: Sequence[int]) -> list[int]:
        """Return these tasks and all their children, theirs too."""
        found = dict.fromkeys(ids)
        level = list(found)
        while level:
            edges = self.broker.edges(level)
            children = [edge.dependency for edge in edges if edge.kind == "child"]
            level = [id for id in children if id not in found]
            found.update(dict.fromkeys(level))
        return list(found)


def _post_order(ids: Sequence[int], below: Mapping[int, Sequence[int]]) -> list[int]:
    order: dict[int, None] = {}
    stack = [(id, False) for id in reversed(ids)]
    while stack:
        id, is_expanded = stack.pop()
        if is_expanded:
            order[id] = None
        elif id not in order and id in below:
            stack.append((id, True))
            stack.extend((dependency, False) for dependency in reversed(below[id]))
    return list(order)


class TaskFunction(Generic[P, T]):
    """A function that can be called, and submitted with the defaults it was decorated with."""

    def __init__(self, queue: Queue, func: Callable[P, T], defaults: Mapping[str, Any]) -> None:
        self._queue = queue
        self._func = func
        self._defaults = dict(defaults)
        self.__qualname__ = func.__qualname__
        update_wrapper(self, func)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._func(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.__qualname__  # stored by its name, as a plain function is

    def submit(self, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call of the function, futures among whose arguments are waited for."""
        return self.submit_ex(args=args, kwargs=kwargs)

    def map(self, *iterables: Iterable[Any]) -> list[Future[T]]:
        """Submit a call for each set of arguments, as `map` has them, in one transaction."""
        given = {**self._defaults, "func": self._func}
        return self._queue.submit_many({**given, "args": args} for args in zip(*iterables))

    def submit_ex(self, **fields: Any) -> Future[T]:
        """Submit a call, with fields that go before the decorator's."""
        given = {**self._defaults, "func": self._func, **fields}
        future: Future[T] = self._queue.submit_ex(given)
        return future
