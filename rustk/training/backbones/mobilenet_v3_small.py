"""MobileNet V3 Small (Howard et al., Searching for MobileNetV3, ICCV 2019)."""

from rustk.training.backbones import base


class Backbone(base.Application):
    """As keras.applications has it, which takes images in [-1, 1] as they come. Cost: Table 4 of its paper."""

    title = "MobileNet V3 Small"
    application = "MobileNetV3Small"
    options = {"include_preprocessing": False}  # noqa: RUF012
    multiply_adds = 56e6
    channels = 576
    block_names = r"expanded_conv_\d+(?=_)|expanded_conv|conv_1"
    block_count = 13
