"""The process that holds vLLM: the only code that imports vllm or torch.

Run with an environment's interpreter as ``python PATH/patchkit/worker``; it speaks ``docs/worker-protocol.md``. Nothing
here imports the rest of patchkit, whose dependencies an environment does not have.
"""
