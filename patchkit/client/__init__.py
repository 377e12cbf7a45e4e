"""Speaking to a running vLLM server, with the ``openai`` client; nothing here knows a runtime."""

from __future__ import annotations

from patchkit.client.limits import Limits
from patchkit.client.side_by_side import side_by_side
from patchkit.client.vllm_client import Completion, Messages, VLLMClient

__all__ = ["Completion", "Limits", "Messages", "VLLMClient", "side_by_side"]
