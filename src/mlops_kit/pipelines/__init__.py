"""Do it again: steps whose results are reused, and the pipelines that call them."""
