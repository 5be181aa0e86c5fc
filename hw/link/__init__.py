"""The device's side of the link, as docs/link.md says."""
