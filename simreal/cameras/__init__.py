"""What policies see: renderers of many simulations, and cameras with a rate and a latency."""
