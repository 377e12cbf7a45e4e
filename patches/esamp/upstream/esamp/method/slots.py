"""Which distiller belongs to which prompt."""

import heapq

import numpy as np

EVERY_PROMPT = 0


class Slots:
    """A slot, that is the number of a distiller, for every prompt that is being decoded.

    A prompt takes the lowest free slot at its first decode row and keeps it until its last sample has ended. With
    ``shared`` there is one slot for all prompts, and it is never given back.
    """

    def __init__(self, shared: bool) -> None:
        self._shared = shared
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._used = 0

    def __len__(self) -> int:
        """Slots in use."""
        return len(self._slots)

    @property
    def needed(self) -> int:
        """One more than the highest slot in use."""
        return max(self._slots.values(), default=-1) + 1

    def key(self, prompt: int) -> int:
        """Under which prompt a prompt's distiller is kept."""
        return EVERY_PROMPT if self._shared else prompt

    def find(self, prompt: int) -> int:
        """The slot of a prompt; -1 if it has none."""
        return self._slots.get(self.key(prompt), -1)

    def take(self, prompts: list[int]) -> tuple[np.ndarray, list[int]]:
        """``[prompts]`` the slot of each, and those slots that are taken for the first time."""
        fresh = []
        for prompt in prompts:
            key = self.key(prompt)
            if key not in self._slots:
                self._slots[key] = self._lowest_free()
                fresh.append(self._slots[key])
        return np.array([self._slots[self.key(prompt)] for prompt in prompts], dtype=np.int64), fresh

    def release(self, prompt: int) -> None:
        """The last sample of a prompt has ended."""
        slot = None if self._shared else self._slots.pop(prompt, None)
        if slot is not None:
            heapq.heappush(self._free, slot)

    def _lowest_free(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._used += 1
        return self._used - 1
