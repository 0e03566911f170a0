"""The order of a cine's frames."""

from phdnet_tf.dicom.frames import FrameHeader


def place_in_time(frame: FrameHeader, instance_number: int | None) -> tuple:
    """What frames are sorted by: time, then what the file says of their order.

    What is not told sorts as 0 for all frames, and leaves it to what follows.

    Args:
        frame: Header of the frame.
        instance_number: Of its file, or None.

    Returns:
        A key for `sorted`.
    """
    return (frame.time or 0, frame.order or 0, instance_number or 0, frame.number)
