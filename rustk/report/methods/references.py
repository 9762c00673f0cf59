"""The works that a methods section may cite, each under a key, and which of them a part of a study is described in.

What has no entry here is named without a reference: none is made up.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One work. authors: as `Family, Given`; a last `others` stands for more. where: journal, book or conference."""

    key: str
    kind: str  # of BibTeX: article, inproceedings, book, misc
    authors: tuple[str, ...]
    title: str
    year: int | None
    where: str = ""
    volume: str = ""
    pages: str = ""
    doi: str = ""
    url: str = ""
    note: str = ""

    def bibtex(self) -> str:
        """The entry for a .bib file."""
        place = {"article": "journal", "inproceedings": "booktitle", "book": "publisher"}.get(self.kind, "howpublished")
        volume, _, number = self.volume.partition("(")
        fields = {
            "author": " and ".join(self.authors),
            "title": f"{{{self.title}}}",
            place: self.where,
            "year": "" if self.year is None else str(self.year),
            "volume": volume,
            "number": number.rstrip(")"),
            "pages": self.pages.replace("-", "--"),
            "doi": self.doi,
            "url": self.url,
            "note": self.note,
        }
        lines = [f"  {name} = {{{_escaped(value)}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])

    @property
    def text(self) -> str:
        """The entry for a list of references in plain words."""
        names = [_initials(author) for author in self.authors]
        authors = f"{', '.join(names)}. " if names else ""
        place = " ".join(part for part in (self.where, self.volume) if part)
        place += f"{':' if self.volume else ', '}{self.pages}" if self.pages else ""
        parts = [place, str(self.year or ""), f"doi:{self.doi}" if self.doi else self.url, self.note]
        told = ", ".join(part for part in parts if part)
        return f"{authors}{self.title}. {told}{'' if told.endswith('.') or not told else '.'}".strip()


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "&%#_" else c for c in text) if "://" not in text else text


def _initials(author: str) -> str:
    """`Kingma DP` of `Kingma, Diederik P.`"""
    if author == "others":
        return "et al"
    family, _, given = author.partition(", ")
    initials = "".join(word[0] for part in given.split() for word in part.split("-") if word)
    return f"{family} {initials}".strip()


def _authors(text: str) -> tuple[str, ...]:
    return tuple(author.strip() for author in text.split(";"))


_WORKS = (
    Reference(
        "adam",
        "inproceedings",
        _authors("Kingma, Diederik P.; Ba, Jimmy"),
        "Adam: A Method for Stochastic Optimization",
        2015,
        "International Conference on Learning Representations",
        url="https://arxiv.org/abs/1412.6980",
    ),
    Reference(
        "inception_v3",
        "inproceedings",
        _authors("Szegedy, Christian; Vanhoucke, Vincent; Ioffe, Sergey; Shlens, Jon; Wojna, Zbigniew"),
        "Rethinking the Inception Architecture for Computer Vision",
        2016,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        pages="2818-2826",
        doi="10.1109/CVPR.2016.308",
    ),
    Reference(
        "lenet",
        "article",
        _authors("LeCun, Yann; Bottou, Léon; Bengio, Yoshua; Haffner, Patrick"),
        "Gradient-Based Learning Applied to Document Recognition",
        1998,
        "Proceedings of the IEEE",
        "86(11)",
        "2278-2324",
        "10.1109/5.726791",
    ),
    Reference(
        "resnet",
        "inproceedings",
        _authors("He, Kaiming; Zhang, Xiangyu; Ren, Shaoqing; Sun, Jian"),
        "Deep Residual Learning for Image Recognition",
        2016,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        pages="770-778",
        doi="10.1109/CVPR.2016.90",
    ),
    Reference(
        "densenet",
        "inproceedings",
        _authors("Huang, Gao; Liu, Zhuang; van der Maaten, Laurens; Weinberger, Kilian Q."),
        "Densely Connected Convolutional Networks",
        2017,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        pages="2261-2269",
        doi="10.1109/CVPR.2017.243",
    ),
    Reference(
        "efficientnet",
        "inproceedings",
        _authors("Tan, Mingxing; Le, Quoc V."),
        "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019,
        "International Conference on Machine Learning",
        pages="6105-6114",
        url="https://proceedings.mlr.press/v97/tan19a.html",
    ),
    Reference(
        "efficientnet_v2",
        "inproceedings",
        _authors("Tan, Mingxing; Le, Quoc V."),
        "EfficientNetV2: Smaller Models and Faster Training",
        2021,
        "International Conference on Machine Learning",
        pages="10096-10106",
        url="https://proceedings.mlr.press/v139/tan21a.html",
    ),
    Reference(
        "convnext",
        "inproceedings",
        _authors("Liu, Zhuang; Mao, Hanzi; Wu, Chao-Yuan; Feichtenhofer, Christoph; Darrell, Trevor; Xie, Saining"),
        "A ConvNet for the 2020s",
        2022,
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition",
        pages="11966-11976",
        doi="10.1109/CVPR52688.2022.01167",
    ),
    Reference(
        "mobilenet_v3",
        "inproceedings",
        _authors("Howard, Andrew; Sandler, Mark; Chu, Grace; Chen, Liang-Chieh; others"),
        "Searching for MobileNetV3",
        2019,
        "IEEE/CVF International Conference on Computer Vision",
        pages="1314-1324",
        doi="10.1109/ICCV.2019.00140",
    ),
    Reference(
        "imagenet",
        "inproceedings",
        _authors("Deng, Jia; Dong, Wei; Socher, Richard; Li, Li-Jia; Li, Kai; Fei-Fei, Li"),
        "ImageNet: A Large-Scale Hierarchical Image Database",
        2009,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        pages="248-255",
        doi="10.1109/CVPR.2009.5206848",
    ),
    Reference(
        "radimagenet",
        "article",
        _authors("Mei, Xueyan; Liu, Zelong; Robson, Philip M.; others"),
        "RadImageNet: An Open Radiologic Deep Learning Research Dataset for Effective Transfer Learning",
        2022,
        "Radiology: Artificial Intelligence",
        "4(5)",
        "e210315",
        "10.1148/ryai.210315",
    ),
    Reference(
        "corn",
        "misc",
        _authors("Shi, Xintong; Cao, Wenzhi; Raschka, Sebastian"),
        "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional Probabilities",
        2021,
        "arXiv:2111.08851",
        url="https://arxiv.org/abs/2111.08851",
    ),
    Reference(
        "unimodal",
        "article",
        _authors("Pinto da Costa, Joaquim F.; Alonso, Hugo; Cardoso, Jaime S."),
        "The Unimodal Model for the Classification of Ordinal Data",
        2008,
        "Neural Networks",
        "21(1)",
        "78-91",
        "10.1016/j.neunet.2007.10.003",
    ),
    Reference(
        "dropout",
        "article",
        _authors("Srivastava, Nitish; Hinton, Geoffrey; Krizhevsky, Alex; Sutskever, Ilya; Salakhutdinov, Ruslan"),
        "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        2014,
        "Journal of Machine Learning Research",
        "15",
        "1929-1958",
    ),
    Reference(
        "random_search",
        "article",
        _authors("Bergstra, James; Bengio, Yoshua"),
        "Random Search for Hyper-Parameter Optimization",
        2012,
        "Journal of Machine Learning Research",
        "13",
        "281-305",
    ),
    Reference(
        "sobol",
        "article",
        _authors("Sobol', Ilya M."),
        "On the Distribution of Points in a Cube and the Approximate Evaluation of Integrals",
        1967,
        "USSR Computational Mathematics and Mathematical Physics",
        "7(4)",
        "86-112",
        "10.1016/0041-5553(67)90144-9",
    ),
    Reference(
        "tpe",
        "inproceedings",
        _authors("Bergstra, James; Bardenet, Rémi; Bengio, Yoshua; Kégl, Balázs"),
        "Algorithms for Hyper-Parameter Optimization",
        2011,
        "Advances in Neural Information Processing Systems 24",
        pages="2546-2554",
    ),
    Reference(
        "successive_halving",
        "inproceedings",
        _authors("Jamieson, Kevin; Talwalkar, Ameet"),
        "Non-Stochastic Best Arm Identification and Hyperparameter Optimization",
        2016,
        "International Conference on Artificial Intelligence and Statistics",
        pages="240-248",
    ),
    Reference(
        "bbc_cv",
        "article",
        _authors("Tsamardinos, Ioannis; Greasidou, Elissavet; Borboudakis, Giorgos"),
        "Bootstrapping the Out-of-Sample Predictions for Efficient and Accurate Cross-Validation",
        2018,
        "Machine Learning",
        "107",
        "1895-1922",
        "10.1007/s10994-018-5714-4",
    ),
    Reference(
        "auroc",
        "article",
        _authors("Hanley, James A.; McNeil, Barbara J."),
        "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
        1982,
        "Radiology",
        "143(1)",
        "29-36",
        "10.1148/radiology.143.1.7063747",
    ),
    Reference(
        "weighted_kappa",
        "article",
        _authors("Cohen, Jacob"),
        "Weighted Kappa: Nominal Scale Agreement Provision for Scaled Disagreement or Partial Credit",
        1968,
        "Psychological Bulletin",
        "70(4)",
        "213-220",
        "10.1037/h0026256",
    ),
    Reference(
        "calibration",
        "inproceedings",
        _authors("Guo, Chuan; Pleiss, Geoff; Sun, Yu; Weinberger, Kilian Q."),
        "On Calibration of Modern Neural Networks",
        2017,
        "International Conference on Machine Learning",
        pages="1321-1330",
        url="https://proceedings.mlr.press/v70/guo17a.html",
    ),
    Reference(
        "bootstrap",
        "book",
        _authors("Efron, Bradley; Tibshirani, Robert J."),
        "An Introduction to the Bootstrap",
        1993,
        "Chapman and Hall",
    ),
    Reference(
        "tensorflow",
        "inproceedings",
        _authors("Abadi, Martín; Barham, Paul; Chen, Jianmin; others"),
        "TensorFlow: A System for Large-Scale Machine Learning",
        2016,
        "USENIX Symposium on Operating Systems Design and Implementation",
        pages="265-283",
    ),
    Reference("keras", "misc", _authors("Chollet, François; others"), "Keras", 2015, url="https://keras.io"),
    Reference(
        "numpy",
        "article",
        _authors("Harris, Charles R.; Millman, K. Jarrod; van der Walt, Stéfan J.; others"),
        "Array Programming with NumPy",
        2020,
        "Nature",
        "585",
        "357-362",
        "10.1038/s41586-020-2649-2",
    ),
    Reference(
        "scikit_learn",
        "article",
        _authors("Pedregosa, Fabian; Varoquaux, Gaël; Gramfort, Alexandre; others"),
        "Scikit-learn: Machine Learning in Python",
        2011,
        "Journal of Machine Learning Research",
        "12",
        "2825-2830",
    ),
)
REFERENCES = {work.key: work for work in _WORKS}

# What a study names, with its title in words and the key of the work that describes it.
BACKBONES = {
    "inception_v3": ("Inception V3", "inception_v3"),
    "lenet": ("LeNet", "lenet"),
    "resnet50": ("ResNet-50", "resnet"),
    "densenet121": ("DenseNet-121", "densenet"),
    "efficientnet_lite0": ("EfficientNet-Lite0", "efficientnet"),
    "efficientnet_v2_b0": ("EfficientNetV2-B0", "efficientnet_v2"),
    "convnext_tiny": ("ConvNeXt-Tiny", "convnext"),
    "mobilenet_v3_small": ("MobileNetV3-Small", "mobilenet_v3"),
}
WEIGHTS = {"imagenet": "imagenet", "radimagenet": "radimagenet"}
OBJECTIVES = {
    "onehot": ("a sigmoid for each label with binary cross-entropy", ""),
    "masked": ("a softmax for each {site} with cross-entropy over the scored {sites} alone", ""),
    "soft": ("a softmax for each {site} with cross-entropy to binomial ordinal targets", "unimodal"),
    "corn": ("conditional ordinal regression (CORN) for each {site}", "corn"),
}
OPTIMIZERS = {"adam": ("Adam", "adam")}
SEARCHES = {"random": "random_search", "sobol": "sobol", "tpe": "tpe"}
RACES = {
    "halving": ("each round kept the best {keep:.0%} of its trials, and at least {least}", "successive_halving"),
    "bootstrap": (
        "each round dropped the trials that were worse than the best one in more than {confidence:.0%} of "
        "{resamples:,} resamples of {drawn}",
        "bbc_cv",
    ),
}
SOFTWARE = {
    "tensorflow": ("TensorFlow", "tensorflow"),
    "keras": ("Keras", "keras"),
    "numpy": ("NumPy", "numpy"),
    "rustk": ("rustk", ""),
    "python": ("Python", ""),
}
