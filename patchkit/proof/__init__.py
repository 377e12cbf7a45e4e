"""What is proven: evidence judged against the series as it is now, and the table of it. Uses series and gates."""
