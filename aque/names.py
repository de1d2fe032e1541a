"""Own the names of functions and classes, `module:qualname`, and the way back to the same object.

A task may run days later in another process, so what is stored of a function is where it stands,
never its code. That holds only for what another process can find there again: `name_of` looks
the name up at once and takes the object only if the very same one comes back. Lambdas, functions
inside functions, methods of one instance, partials and whatever was typed at a prompt are
refused while the person who wrote them is still there to read why.

`__main__` is the hard case: in the worker that name is the worker's own program. A function of a
script is stored as `/absolute/path.py:qualname`, one of `python -m pkg.mod` as `pkg.mod:qualname`,
and the worker loads the script (`aque.scripts`) without running it as a program again.

`__main__` itself is not replaced here: `Future.result` decodes in the user's own program, which
would lose its own. A runner, whose program is nobody's, puts `script_of(func)` there, so that a
task can start multiprocessing of its own. As under spawn, what stands in a package's `__main__`
is refused, because loading it would run the program again.

`resolve(trusted=False)` neither imports nor runs anything (`aque.lookup`).
Source of the rules: CPython's pickle.save_global and multiprocessing.spawn.
"""

from __future__ import annotations

import builtins
import os
import sys
import types
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from aque import lookup, scripts
from aque.errors import CodecError, describe

FUNCTION_KINDS = (
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    MethodDescriptorType,
    WrapperDescriptorType,
    MethodWrapperType,
)
_MAINS = ("__main__", "__mp_main__")
_PROMPTS = ("<stdin>", "<python-input", "<ipython-input", "<console>", "<input>")


def name_of(obj: object, qualname: str | None = None) -> str:
    """Return the name under which any process finds `obj`: `module:qualname` or `/path:qualname`.

    `qualname` is given for an object that names itself (a reducer that answers with a string).
    Raises CodecError, saying why and what to do, when the name does not lead back to `obj`.
    """
    if qualname is None:
        module, qualname = _claimed_name(obj)
    else:
        module = getattr(obj, "__module__", None) or _module_that_has(obj, qualname)
    if module in _MAINS:
        module = _name_of_main(_main_with(obj, module, qualname), obj, qualname)
    for name in (f"{module}:{qualname}", f"{module}:{qualname}.__wrapped__"):
        if _leads_to(name, obj):
            return name
    raise CodecError(
        f"{module}:{qualname} is not found under its name, or is another object there; "
        "define it at the top level of a module, once, and under that name"
    )


def resolve(name: str, trusted: bool = True) -> Any:
    """Return the object called `name`, importing its module or loading its script if need be.

    With `trusted=False` nothing is imported, loaded or run: what is not there already is a
    CodecError, as is every name that leads nowhere.
    """
    module_name, _, qualname = name.rpartition(":")
    if not module_name or not qualname:
        raise CodecError(f"{name!r} is not of the form module:qualname")
    found: object = scripts.load(module_name, trusted)
    for part in qualname.split("."):
        found = _attribute(found, part, name) if trusted else lookup.attribute(found, part, name)
    return found


def script_of(obj: object) -> ModuleType | None:
    """Return the module of the script that `obj` is of, if `resolve` has loaded one.

    A method, a partial and an object that is called are of the script of what they run.
    """
    while isinstance(obj, partial):
        obj = obj.func
    if isinstance(obj, MethodType):
        obj = obj.__self__
    named = obj if isinstance(obj, (type, FunctionType)) else type(obj)
    if named.__module__ != "__mp_main__":
        return None
    return next((script for script in scripts.loaded() if _stands_in(named, script)), None)


def _stands_in(named: type | FunctionType, script: ModuleType) -> bool:
    """Whether the script holds this; of a decorated function the name leads to what hides it."""
    globals_of = getattr(named, "__globals__", None)
    return globals_of is vars(script) or lookup.walk(script, named.__qualname__) is named


def _claimed_name(obj: object) -> tuple[Any, str]:
    if isinstance(obj, type):
        return _claimed_name_of_type(obj)
    holder = getattr(obj, "__self__", None)
    if isinstance(holder, type):
        return holder.__module__, _checked(f"{holder.__qualname__}.{_own_name(obj)}")
    if isinstance(obj, FUNCTION_KINDS) and not isinstance(holder, (ModuleType, type(None))):
        raise CodecError(
            f"{_own_name(obj)} is a method bound to one object and has no name of its own; "
            "submit a function, and pass the object as an argument"
        )
    owner = getattr(obj, "__objclass__", None)
    if isinstance(owner, type):
        return owner.__module__, _checked(f"{owner.__qualname__}.{_own_name(obj)}")
    qualname = getattr(obj, "__qualname__", None)
    if not isinstance(qualname, str):
        raise CodecError(_why_nameless(obj))
    module = getattr(obj, "__module__", None) or _module_that_has(obj, qualname)
    return module, _checked(qualname)


def _claimed_name_of_type(cls: type) -> tuple[Any, str]:
    """Return where the class says it stands; some of Python's own stand only in `types`."""
    if cls.__module__ == "builtins" and getattr(builtins, cls.__name__, None) is not cls:
        for name, found in vars(types).items():
            if found is cls:
                return "types", name
    return cls.__module__, _checked(cls.__qualname__)


def _own_name(obj: object) -> str:
    return str(getattr(obj, "__name__", obj))


def _why_nameless(obj: object) -> str:
    if type(obj).__module__ == "functools" and type(obj).__name__.startswith("partial"):
        return "a partial has no name; submit its function, and pass the arguments along"
    return f"a {type(obj).__name__} object has no name; only functions and classes have"


def _checked(qualname: str) -> str:
    if "<lambda>" in qualname:
        raise CodecError(
            "a lambda has no name that a worker could find it by; "
            "write it with def at the top level of a module"
        )
    if "<locals>" in qualname:
        raise CodecError(
            f"{qualname} is defined inside a function, where a worker cannot find it; "
            "move it to the top level of a module"
        )
    return qualname


def _module_that_has(obj: object, qualname: str) -> str:
    for name, module in list(sys.modules.items()):
        in_reach = name not in _MAINS and isinstance(module, ModuleType)
        if in_reach and lookup.walk(module, qualname) is obj:
            return name
    if isinstance(obj, type):
        return "builtins"
    return "__main__"


def _main_with(obj: object, module: str, qualname: str) -> ModuleType | None:
    """Return the main program that `obj` is of: this process's own, or a script loaded since."""
    own = sys.modules.get(module)
    if module == "__main__" or (own and lookup.walk(own, qualname) is obj):
        return own
    return next((s for s in scripts.loaded() if lookup.walk(s, qualname) is obj), own)


def _name_of_main(main: ModuleType | None, obj: object, qualname: str) -> str:
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    at_prompt = spec is not None and spec.name.startswith("_pyrepl")  # Python 3.13's own
    if at_prompt or _is_typed(obj) or (spec is None and not (path and os.path.isfile(path))):
        raise CodecError(
            f"{qualname} is not in a file: what is typed at a prompt, piped in or given by -c "
            "cannot be found by a worker; put it in a file"
        )
    if spec is None:
        return os.path.abspath(str(path))
    if f".{spec.name}".endswith(".__main__"):
        raise CodecError(
            f"{qualname} is in a __main__.py, and loading that would run the program again; "
            "put it in another module"
        )
    return str(spec.name)


def _is_typed(obj: object) -> bool:
    functions = list(vars(obj).values()) if isinstance(obj, type) else [obj]
    codes = (getattr(function, "__code__", None) for function in functions)
    return any(code is not None and code.co_filename.startswith(_PROMPTS) for code in codes)


def _leads_to(name: str, obj: object) -> bool:
    try:
        found = resolve(name)
    except CodecError:
        return False
    bound = isinstance(obj, (MethodType, BuiltinFunctionType)) and type(found) is type(obj)
    return found is obj or (bound and bool(found == obj))


def _attribute(holder: object, part: str, name: str) -> object:
    try:
        return getattr(holder, part)
    except Exception as error:
        raise CodecError(f"{name} cannot be found: {describe(error)}") from error
