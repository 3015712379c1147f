"""Network, embedding tables, heads, losses and metrics: plain torch."""
