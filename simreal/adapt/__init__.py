"""From a policy that survives to one that fits: retraining, residual models, learning on robots."""
