"""EfficientNet V2 B0 (Tan and Le, EfficientNetV2: Smaller Models and Faster Training, ICML 2021)."""

from rustk.training.backbones import base


class Backbone(base.Application):
    """As keras.applications has it. Cost: the authors' table of models."""

    title = "EfficientNet V2 B0"
    application = "EfficientNetV2B0"
    options = {"include_preprocessing": False}  # noqa: RUF012
    scale = base.IMAGENET_SCALE
    offset = base.IMAGENET_OFFSET
    multiply_adds = 0.72e9
    channels = 1280
    block_names = r"block\d+[a-z]|top"
    block_count = 23
