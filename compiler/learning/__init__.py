"""The integer model of learning: every word that changes on a chip that learns, step by step."""
