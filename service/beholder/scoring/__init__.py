"""What a score means: scorer folders, loaded scorers, ranking."""
