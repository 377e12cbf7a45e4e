"""Pass@k for people: a page, Markdown, and the terminal. All of it reads evidence, and judges nothing itself."""
