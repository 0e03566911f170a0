"""The review page: a human corrects the points that the model is unsure of."""
