"""Entry point: make this folder importable as a package of its own, whatever the environment holds."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = "patchkit_worker"


def main() -> int:
    spec = importlib.util.spec_from_file_location(NAME, HERE / "__init__.py", submodule_search_locations=[str(HERE)])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    # The folder of a script comes first on sys.path; its files must not shadow other modules.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    from patchkit_worker.server import serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
