"""Work in other processes: on this machine, or on the workers of a cluster."""
