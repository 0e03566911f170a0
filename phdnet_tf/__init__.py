"""Anatomical landmarks in cardiac MR, each with a confidence and error radii.

An implementation of PHD-Net (Schobs et al., "Confidence-quantifying landmark
localisation for cardiac MRI", ISBI 2021) in TensorFlow and Keras. This module imports
nothing heavy. Import what you need from the modules, for example
`from phdnet_tf.inference.predictor import Predictor`.
"""

__version__ = "0.1.0"
