"""Many designs of one network, to choose from."""
