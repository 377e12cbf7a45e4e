"""Evidence for people and for CI, a file a form: ``terminal``, ``markdown``, ``junit``, ``github``."""
