"""The review page: a human corrects what the model is unsure of."""
