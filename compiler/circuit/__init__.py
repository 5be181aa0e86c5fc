"""What follows from a folding: geometry, edges, addresses, and the clocks of a step."""
