"""Finds the models of a server."""

from phdnet_tf.client.transport import Transport
from phdnet_tf.export.versions import model_names
from phdnet_tf.inference.errors import NotServedError
from phdnet_tf.presets import VIEWS


def served_models(transport: Transport, view: str | None) -> dict[str, str]:
    """The served model of a view, or of each built-in view.

    TF Serving does not list its models, so a view of another name is found only if it
    is given. If a view has several models, PHD-Net's is used.
    """
    found = {}
    for each in [view] if view else VIEWS:
        for name in model_names(each):
            try:
                if transport.versions(name, ""):
                    found[each] = name
                    break
            except NotServedError:
                continue
    return found
