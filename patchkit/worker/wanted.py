"""Which model runner this process is asked for; apart from ``runners.py``, which imports vLLM."""

import os

WANTED = "v2" if os.environ.get("VLLM_USE_V2_MODEL_RUNNER") == "1" else "v1"
