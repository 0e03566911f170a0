"""Anatomical landmarks in cardiac MR, each with a statement of how far to trust it.

An implementation of PHD-Net (Schobs et al., "Confidence-quantifying landmark
localisation for cardiac MRI", ISBI 2021) in TensorFlow and Keras. This module imports
nothing heavy; import what is needed from the modules, for example
`from phdnet_tf.inference.predictor import Predictor`.
"""

__version__ = "0.1.0"
