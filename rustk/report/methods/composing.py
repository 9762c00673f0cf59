"""From a run's report to the paragraphs of a methods section, and the references that they cite."""

import re
from dataclasses import dataclass

import rustk
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.methods.evaluating import (
    choice_words,
    data_words,
    folds_words,
    measures_words,
    results_words,
    test_words,
)
from rustk.report.methods.references import REFERENCES, Reference
from rustk.report.methods.training import model_words, software_words, training_words

FOLDER = "methods"
_CITED = re.compile(r"\[@([a-z0-9_]+)\]")


@dataclass(frozen=True)
class Methods:
    """Paragraphs as (heading, Markdown with Pandoc's citations `[@key]`), and what they cite, as it appears."""

    paragraphs: tuple[tuple[str, str], ...]
    references: tuple[Reference, ...]

    @property
    def markdown(self) -> str:
        """methods.md: `pandoc --citeproc --bibliography references.bib` sets its citations."""
        return "\n\n".join(f"## {heading}\n\n{text}" for heading, text in self.paragraphs) + "\n"

    @property
    def bibtex(self) -> str:
        """references.bib: what the text cites, and nothing else."""
        return "\n\n".join(reference.bibtex() for reference in self.references) + "\n"

    def numbered(self, text: str) -> str:
        """Plain text, with `[@key]` as the number in the list of references."""
        places = {reference.key: str(place) for place, reference in enumerate(self.references, start=1)}
        return _CITED.sub(lambda match: f"[{places[match[1]]}]", text.replace("`", ""))

    def files(self) -> dict[str, bytes]:
        """By path below the report's folder."""
        return {
            f"{FOLDER}/methods.md": self.markdown.encode(),
            f"{FOLDER}/references.bib": self.bibtex.encode(),
        }


def write_methods(analysis: Analysis, sealed: SealedTest | None = None) -> Methods:
    """What a paper's methods section may say of a run, and nothing that its files don't tell."""
    results, trial = analysis.aggregate.results, analysis.trial
    software = software_words(results)
    by = f"rustk {rustk.__version__} [@rustk]"
    made = f"Tables and figures were made by {by} from the files of the run `{results.run}`."
    candidates = (
        ("Data", data_words(analysis)),
        ("Model", model_words(results, trial)),
        ("Training", training_words(results, trial)),
        ("Validation", f"{folds_words(analysis)} {choice_words(analysis)}"),
        ("Measures", measures_words(analysis)),
        ("Results", results_words(analysis)),
        ("Test", test_words(sealed)),
        ("Software", f"{software} {made}"),
    )
    paragraphs = tuple((heading, text) for heading, text in candidates if text)
    keys = dict.fromkeys(key for _, text in paragraphs for key in _CITED.findall(text))
    own = {
        "rustk": Reference("rustk", "misc", (), "rustk", None, note=f"Software, version {rustk.__version__}"),
        "instrument": _instrument(analysis),
    }
    return Methods(paragraphs, tuple(own[key] if key in own else REFERENCES[key] for key in keys))


def _instrument(analysis: Analysis) -> Reference:
    """The instrument's own source, as its file gives it: one text."""
    instrument = analysis.instrument
    title, source = (instrument.title, instrument.source) if instrument else ("", "")
    return Reference("instrument", "misc", (), title, None, note=" ".join(source.split()))
