# The part of scikit-learn that mlops_kit calls.

__version__: str
