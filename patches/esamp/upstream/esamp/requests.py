"""Who a row belongs to: engine request ids and the (prompt, sample) behind each."""

from typing import NamedTuple, Optional


class Owner(NamedTuple):
    """A sample of a prompt: both count from 0, prompts in the order in which the engine got them."""

    prompt: int
    sample: int


class RequestBook:
    """Every request that is in the engine, from the moment it is added until it ends."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._prompts: dict[str, int] = {}
        self._alive: dict[int, int] = {}
        self._next_prompt = 0

    def add_prompt(self, request_id: str, samples: int) -> None:
        """Register the requests that the engine makes of one prompt: it names child i of n ``{i}_{request_id}``."""
        if samples == 1:
            self.add(request_id, request_id, 0)
            return
        for sample in range(samples):
            self.add(f"{sample}_{request_id}", request_id, sample)

    def add(self, request_id: str, group: str, sample: int) -> None:
        """Register one request, once; requests of one ``group`` are samples of one prompt."""
        if request_id in self._owners:
            return
        if group not in self._prompts:
            self._prompts[group] = self._next_prompt
            self._next_prompt += 1
        prompt = self._prompts[group]
        self._owners[request_id] = Owner(prompt, sample)
        self._alive[prompt] = self._alive.get(prompt, 0) + 1

    def owner(self, request_id: str) -> Optional[Owner]:
        return self._owners.get(request_id)

    def drop(self, request_id: str) -> Optional[int]:
        """Forget a request that has ended; returns its prompt's index if that was the prompt's last request."""
        owner = self._owners.pop(request_id, None)
        if owner is None:
            return None
        self._alive[owner.prompt] -= 1
        if self._alive[owner.prompt]:
            return None
        del self._alive[owner.prompt]
        self._prompts = {group: prompt for group, prompt in self._prompts.items() if prompt != owner.prompt}
        return owner.prompt
