"""What every part leans on: argument checks, files, progress, tables, the environment."""
