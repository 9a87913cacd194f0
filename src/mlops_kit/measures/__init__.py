"""What data and predictions say: metrics, intervals, slices, paired comparisons. Pure functions on arrays."""
