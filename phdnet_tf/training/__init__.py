"""From annotated images to a published model."""
