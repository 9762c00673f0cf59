"""ConvNeXt Tiny (Liu et al., A ConvNet for the 2020s, CVPR 2022)."""

from rustk.training.backbones import base


class Backbone(base.Application):
    """As keras.applications has it. Cost: Table 1 of its paper."""

    title = "ConvNeXt Tiny"
    application = "ConvNeXtTiny"
    options = {"include_preprocessing": False}  # noqa: RUF012
    scale = base.IMAGENET_SCALE
    offset = base.IMAGENET_OFFSET
    multiply_adds = 4.5e9
    channels = 768
    block_names = r"convnext_tiny_(stage_\d_block_\d+|downsampling_block_\d)"
    block_count = 22

    def map_side(self, side: int) -> int:
        # Four valid convolutions whose stride is their size: what does not fill one is dropped.
        return side // 32
