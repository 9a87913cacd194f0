"""Is it still true: drift, quality, performance, alerts, and `Monitor`, which watches a model with them."""
