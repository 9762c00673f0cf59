"""Backbones: what makes a feature map of an image. A kind is one file of this folder that defines `Backbone`.

Nothing here imports Keras before a network is built: planning and the command line read a backbone's facts.
"""

from rustk.planning.study import is_import_path
from rustk.training.backbones.base import Backbone
from rustk.vocabulary.kinds import load_kind


def find_backbone(architecture: str, at: str = "model.architecture") -> Backbone:
    """The backbone of this name, or the user's own at `package.module:function`. Nothing of the user's runs yet.

    at: the field or option that names it. Raises BadStudy for a name that there is no backbone of.
    """
    if is_import_path(architecture):
        from rustk.training.own_backbone import OwnBackbone

        return OwnBackbone(architecture)
    found: Backbone = load_kind("training/backbones", architecture, at).Backbone(architecture)
    return found
