import numpy as np

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.inference.calls import MOST_PIXELS, locate_in_calls


def test_of_large_images_fewer_share_a_call():
    side = int((MOST_PIXELS / 3) ** 0.5)
    large = [MRImage(np.full((side, side), n, np.float32), (1, 1)) for n in range(4)]
    small = [MRImage(np.full((8, 8), n, np.float32), (1, 1)) for n in range(4, 9)]
    huge = [MRImage(np.full((2, MOST_PIXELS), 9, np.float32), (1, 1))]
    calls = []

    def locate(images):
        calls.append(len(images))
        return [{"value": image.pixels[0, 0]} for image in images]

    found = locate_in_calls(locate, [*large, *small, *huge], 4)

    assert sorted(calls) == [1, 1, 1, 3, 4]
    assert [each["value"] for each in found] == list(range(10))
