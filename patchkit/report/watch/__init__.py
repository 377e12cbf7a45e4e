"""Reports of one check of the index, for people and for GitHub."""
