"""From float parameters to words: ranges, formats, roundings, and what they can cost."""
