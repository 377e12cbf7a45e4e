"""``tokenizer.json`` of a byte-level tokenizer, with the standard library alone: ``convert_gguf.py`` is a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def tokenizer_json(
    tokens: Sequence[str], merges: Sequence[str], special: Iterable[int], digits_alone: bool = False
) -> dict[str, Any]:
    """The file's content.

    Args:
        tokens: by id.
        merges: pairs, each with a space between.
        special: ids of those that are no text.
        digits_alone: whether every digit is split off first.
    """
    plain = dict.fromkeys(("normalized", "lstrip", "rstrip", "single_word"), False)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], "special": True} | plain for i in special],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]} if digits_alone else byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": merges,
        },
    }
