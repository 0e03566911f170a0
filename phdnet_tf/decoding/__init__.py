"""From a network's heads to points, their confidence and the evidence for it."""
