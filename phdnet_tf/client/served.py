"""Which models a server has."""

from phdnet_tf.client.transport import Transport
from phdnet_tf.export.versions import model_names
from phdnet_tf.inference.errors import NotServedError
from phdnet_tf.presets import VIEWS


def served_models(transport: Transport, view: str | None) -> dict[str, str]:
    """The model in service of a view, or of each that is built in.

    TF Serving tells of a model only to those who name it, so a view of another name is
    found only when it is asked for. PHD-Net's model is taken where there are several.
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
