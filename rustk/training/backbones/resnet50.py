"""ResNet 50 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016)."""

from rustk.training.backbones import base

# Caffe's preprocessing, as its weights were trained: grey levels of 0 to 255 less the mean of blue, green and red.
_MEANS = (103.939, 116.779, 123.68)


class Backbone(base.Application):
    """As keras.applications has it. Cost: Table 1 of its paper, with the shortcuts' projections."""

    title = "ResNet 50"
    application = "ResNet50"
    scale = (127.5, 127.5, 127.5)
    offset = tuple(127.5 - mean for mean in _MEANS)
    multiply_adds = 4.1e9
    channels = 2048
    block_names = r"conv\d_block\d+"
    block_count = 17
