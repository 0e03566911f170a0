"""The paper's comparison: several systems, fold by fold, and its tables."""
