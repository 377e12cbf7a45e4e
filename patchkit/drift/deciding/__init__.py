"""What an expression of a release comes to under given circumstances, read off its sources: yes, no, or not known."""
