"""Who a row belongs to: engine request ids and the (prompt, sample) behind each."""

from collections import Counter
from typing import NamedTuple, Optional


class Owner(NamedTuple):
    """A sample of a prompt: both count from 0, prompts in the order in which the engine got them."""

    prompt: int
    sample: int


class RequestBook:
    """Every request that is in the engine, from the moment it is added until the engine says that it has ended."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._prompts: dict[str, int] = {}
        self._groups: dict[int, str] = {}
        self._alive: dict[int, int] = {}
        self._next_prompt = 0
        self._done: list[int] = []
        self._used_again: Counter[str] = Counter()

    def add_prompt(self, request_id: str, samples: int) -> None:
        """Register the requests that the engine makes of one prompt: it names child i of n ``{i}_{request_id}``."""
        names = [request_id] if samples == 1 else [f"{sample}_{request_id}" for sample in range(samples)]
        for name in names:
            if name in self._owners:  # it has ended, but the engine tells so only with its next step
                self._used_again[name] += 1
                self._forget(name)
        for sample, name in enumerate(names):
            self.add(name, request_id, sample)

    def add(self, request_id: str, group: str, sample: int) -> None:
        """Register one request, once; requests of one ``group`` are samples of one prompt."""
        if request_id in self._owners:
            return
        if group not in self._prompts:
            self._prompts[group] = self._next_prompt
            self._groups[self._next_prompt] = group
            self._next_prompt += 1
        prompt = self._prompts[group]
        self._owners[request_id] = Owner(prompt, sample)
        self._alive[prompt] = self._alive.get(prompt, 0) + 1

    @property
    def prompts(self) -> int:
        """Prompts that are in the engine, waiting or running."""
        return len(self._alive)

    def owner(self, request_id: str) -> Optional[Owner]:
        return self._owners.get(request_id)

    def drop(self, request_id: str) -> None:
        """The engine says that a request has ended."""
        if self._used_again[request_id]:
            self._used_again[request_id] -= 1
        elif request_id in self._owners:
            self._forget(request_id)

    def take_done(self) -> list[int]:
        """Prompts whose last request has ended since this was asked last."""
        done, self._done = self._done, []
        return done

    def _forget(self, request_id: str) -> None:
        prompt = self._owners.pop(request_id).prompt
        self._alive[prompt] -= 1
        if not self._alive[prompt]:
            del self._alive[prompt]
            del self._prompts[self._groups.pop(prompt)]
            self._done.append(prompt)
