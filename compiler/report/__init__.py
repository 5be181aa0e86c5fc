"""What the compiler found, as JSON, and as pages and pictures drawn from it."""
