"""Widths that a goal asks for: what is tried, how it is judged, and which way to narrow."""
