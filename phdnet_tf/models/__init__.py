"""The networks: PHD-Net, and the two that the paper compares it with."""
