"""The commands: each calls other packages, shows the result, and returns the exit code. Nothing else imports them."""
