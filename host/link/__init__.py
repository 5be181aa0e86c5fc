"""The link: frames, sessions and words over a line of bytes, as docs/link.md says."""
