"""Who says whether a sample is right. A grader is a function ``grade(problem: Problem, text: str) -> Grade``."""
