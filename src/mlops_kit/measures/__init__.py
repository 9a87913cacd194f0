"""What data and predictions say: profiles, expectations, metrics, intervals, slices, comparisons. Pure functions."""
