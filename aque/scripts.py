"""Own loading what a name's module says: a module, or a script by its path.

A script is loaded as multiprocessing's spawn does it: under the name `__mp_main__`, so that what
stands under `if __name__ == "__main__"` does not run again. Two differences:

- A runner serves many scripts, so each is kept in `sys.modules` under its path, and
  `__mp_main__` is the one asked for last. A key with a slash collides with no module.
- The code runs in the module's own dictionary. runpy.run_path, which spawn uses, hands back a
  copy, and a function's `global` statement would then write where nobody looks.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from io import open_code
from types import ModuleType

from aque.errors import CodecError, describe

_LOADING = RLock()


def load(module_name: str, trusted: bool = True) -> ModuleType:
    """Return the module, or the script if it is an absolute path, that `module_name` means here."""
    main = sys.modules.get("__main__")
    if main is not None and _is_main(main, module_name):
        return main
    if not trusted:
        return _loaded_module(module_name)
    try:
        return _load_script(module_name) if module_name[:1] == "/" else _import(module_name)
    except SystemExit as error:
        raise CodecError(
            f"{module_name} ended the process when it was loaded; "
            'put what it does under if __name__ == "__main__":'
        ) from error
    except Exception as error:
        raise CodecError(f"{module_name} cannot be loaded: {describe(error)}") from error


def is_loading_script() -> bool:
    """Tell whether a script is being loaded for its functions: it must not submit tasks then."""
    return bool(getattr(sys.modules.get("__mp_main__"), "__aque_loading__", False))


def loaded() -> list[ModuleType]:
    """Return the scripts that were loaded for their functions."""
    return [module for name, module in list(sys.modules.items()) if name[:1] == "/"]


def _is_main(main: ModuleType, module_name: str) -> bool:
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return bool(spec.name == module_name)
    path = getattr(main, "__file__", None)
    return module_name[:1] == "/" and path is not None and os.path.abspath(path) == module_name


def _loaded_module(module_name: str) -> ModuleType:
    module = sys.modules.get(module_name)
    if module is None or not issubclass(type(module), ModuleType):
        raise CodecError(
            f"{module_name} is not loaded in this process, and is not loaded for a value of "
            "somebody else's; import it first if you trust it"
        )
    return module


def _import(module_name: str) -> ModuleType:
    __import__(module_name)
    return sys.modules[module_name]


def _load_script(path: str) -> ModuleType:
    with _LOADING:
        script = sys.modules.get(path) or _run_script(path)
        sys.modules["__mp_main__"] = script
        return script


def _run_script(path: str) -> ModuleType:
    script = ModuleType("__mp_main__")
    script.__file__ = path
    before = sys.modules.get("__mp_main__")
    with open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    sys.modules[path] = sys.modules["__mp_main__"] = script
    script.__dict__["__aque_loading__"] = True
    try:
        exec(code, script.__dict__)
    except BaseException:
        del sys.modules[path], sys.modules["__mp_main__"]
        if before is not None:
            sys.modules["__mp_main__"] = before
        raise
    finally:
        del script.__dict__["__aque_loading__"]
    return script
