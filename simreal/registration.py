"""Makes the shipped experiments known to gymnasium, without importing it where nobody does.

gymnasium 1.0 dropped the entry points by which packages were found; importing simreal must do. The
control process on a robot imports simreal, too, and has no gymnasium: so this waits for the import.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from simreal.configs import shipped_experiments


def register_with_gymnasium() -> None:
    """Register every shipped experiment, now or as soon as gymnasium is imported."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterGymnasium())


def _register() -> None:
    import gymnasium

    for name in shipped_experiments():
        gymnasium.register(
            f"simreal/{name}",
            entry_point="simreal.gym_env:GymEnv",
            vector_entry_point="simreal.gym_env:GymVectorEnv",
            kwargs={"experiment": name},
        )


class _AfterGymnasium(MetaPathFinder):
    """Lets the usual finders load gymnasium, and registers once that is done."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "gymnasium":
            return None
        # Out of the way for the others' search; it stays until gymnasium is really imported, since
        # somebody may only ask whether it is there.
        place = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, self)
        return spec


class _RegisteringLoader(Loader):
    """Loads as the given loader does, then registers."""

    def __init__(self, loader: Loader, finder: MetaPathFinder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register()
