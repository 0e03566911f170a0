"""The TFDS data set `aspire_cmr`; importing this package registers it with TFDS."""

from phdnet_tf.datasets.aspire_cmr.aspire_cmr_dataset_builder import Builder
from phdnet_tf.datasets.aspire_cmr.cache import prepare

__all__ = ["Builder", "prepare"]
