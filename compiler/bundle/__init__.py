"""A design as a folder of files."""
