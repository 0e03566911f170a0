"""An archive through the models: planned once, done in shards, on any machines."""
