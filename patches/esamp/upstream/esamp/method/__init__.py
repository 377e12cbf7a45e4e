"""The method in plain torch: distillers, how they learn, and how they move logits. Nothing here knows vLLM."""
