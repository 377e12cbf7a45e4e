"""One look at the index, for people and for GitHub."""
