"""The SavedModel, and the folder of its versions."""
