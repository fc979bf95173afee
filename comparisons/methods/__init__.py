"""The methods, one module each; ``comparisons.registry`` names them."""
